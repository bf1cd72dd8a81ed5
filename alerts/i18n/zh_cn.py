"""Simplified Chinese: what rules and evidence say, by their English templates; remedies, by their rules' names."""

TEXTS = {
    # What several rules say.
    "The trainer no longer runs.": "训练进程已不再运行。",
    "The trainer no longer runs and holds no memory.": "训练进程已不再运行，不占用内存。",
    "The trainer was started anew.": "训练进程已重新启动。",
    "{seconds:.1f} s": "{seconds:.1f} 秒",
    "{seconds:.2f} s": "{seconds:.2f} 秒",
    # CrashLoop
    "{count} restarts in the last {time}.": "最近 {time}内重启了 {count} 次。",
    "The trainer has held since its last start, {time} ago.": "训练进程自上次启动以来已稳定运行 {time}。",
    # DiskLow
    "{free:.2f} GiB of {total:.0f} GiB are free on the disk of {path}.": (
        "{path} 所在磁盘共 {total:.0f} GiB，剩余 {free:.2f} GiB。"
    ),
    "{free:.2f} GiB are free on the disk of {path}.": "{path} 所在磁盘剩余 {free:.2f} GiB。",
    # HostMemoryPressure
    "{available:.0%} of the machine's memory is left, and swap holds {swap:.2f} GiB": (
        "本机内存剩余 {available:.0%}，交换区已用 {swap:.2f} GiB"
    ),
    "{measured}.": "{measured}。",
    "Programs wait for memory {stalled:.0%} of the time; {measured}.": (
        "程序有 {stalled:.0%} 的时间在等待内存；{measured}。"
    ),
    "The system reports critical memory pressure; {measured}.": "系统报告内存压力已达严重级别；{measured}。",
    "The machine is nearly out of memory: {measured}.": "本机内存即将耗尽：{measured}。",
    # MemoryExceeded
    "It uses {used:.2f} GiB, {share:.0%} of its limit of {limit:.2f} GiB.": (
        "内存占用 {used:.2f} GiB，为上限 {limit:.2f} GiB 的 {share:.0%}。"
    ),
    # MemoryForecast
    (
        "Its memory grows by {hourly:.2f} GiB an hour: from {level:.2f} GiB it reaches its limit of {limit:.2f} GiB "
        "in about {time}."
    ): "内存占用每小时增加 {hourly:.2f} GiB：从 {level:.2f} GiB 起，约 {time}后达到上限 {limit:.2f} GiB。",
    "Its memory no longer grows.": "内存占用不再增长。",
    # NonFinite
    "{nonfinite:.0f} of its last {steps:.0f} steps were not finite, within {time}.": (
        "{time}内，最近 {steps:.0f} 步中有 {nonfinite:.0f} 步出现非有限数值（NaN 或 Inf）。"
    ),
    # OffBoard
    "It trains and publishes, but the board does not list it: it earns no rank.": (
        "节点在训练并已发布结果，但排行榜上没有它：不会获得名次。"
    ),
    "The board lists it at rank {rank:.0f}.": "排行榜上的名次为第 {rank:.0f} 名。",
    # PeerDown
    "Its sidecar has not answered for {time} ({failure}), so nothing tells whether the trainer runs.": (
        "sidecar 已 {time}没有应答（{failure}），无法得知训练进程是否在运行。"
    ),
    "The trainer's process is gone.": "训练进程已消失。",
    "The trainer's process is gone; it was {state} when last heard of.": (
        "训练进程已消失；最后一次获知的状态：{state}。"
    ),
    "The trainer was started {time} ago and has made no step; it should have started within {budget}.": (
        "训练进程已启动 {time}，尚未完成任何一步；本应在 {budget}内完成启动。"
    ),
    "The trainer runs.": "训练进程正在运行。",
    "The trainer has never been seen running.": "从未见到训练进程运行。",
    "The trainer has ended in good order and was not started again.": "训练进程已正常结束，之后没有再次启动。",
    "The trainer runs and waits for the swarm.": "训练进程正在运行，等待 swarm。",
    "no answer within {seconds:g} s": "{seconds:g} 秒内没有应答",
    "no connection": "无法连接",
    "the connection broke": "连接中断",
    "the page is not a sidecar's": "该页面不是 sidecar 的页面",
    "it answered {status}": "返回了 {status}",
    "the page is compressed although that was not asked for": "页面被压缩，而请求中并未要求",
    "the page is larger than {most} KiB": "页面大于 {most} KiB",
    # PeerStalled
    "No progress for {time} while {state}; this peer should need at most {budget}.": (
        "已 {time}没有进展，状态：{state}；该节点最多应需 {budget}。"
    ),
    "Its last step, number {steps:.0f}, ended {time} ago.": "最后一步（第 {steps:.0f} 步）结束于 {time}前。",
    "Its processes used {used:.1f} s of processor time in the last {time}: they rest.": (
        "最近 {time}内其进程使用了 {used:.1f} 秒处理器时间：处于空闲。"
    ),
    "Its processes used {used:.1f} s of processor time in the last {time}: they compute.": (
        "最近 {time}内其进程使用了 {used:.1f} 秒处理器时间：正在计算。"
    ),
    "The trainer no longer runs, so it is not stalled.": "训练进程已不再运行，因此不算停滞。",
    "The trainer makes progress again.": "训练进程恢复进展。",
    # PeerRestarted
    "Restarted because of {rule}: {summary}": "因 {rule} 而重启：{summary}",
    "It waited {time} for a good moment.": "为等待合适的时机，推迟了 {time}。",
    "The restart did not help.": "重启没有解决问题。",
    "It was not restarted after all.": "最终没有重启。",
    "It trains again {time} after the restart.": "重启 {time}后恢复训练。",
    "It trains again {time} after the restart; its memory went from {before:.2f} to {after:.2f} GiB.": (
        "重启 {time}后恢复训练；内存占用从 {before:.2f} GiB 变为 {after:.2f} GiB。"
    ),
    # RankDrop
    (
        "Rank {rank:.0f} of {ranked:.0f}, {drop:.0f} worse than rank {best:.0f}, which it held within the last "
        "{window}."
    ): "当前第 {rank:.0f} 名（共 {ranked:.0f} 名），比最近 {window}内保持过的第 {best:.0f} 名下降了 {drop:.0f} 名。",
    "Rank {rank:.0f} of {ranked:.0f}; the best that it held within {window} is {best:.0f}.": (
        "当前第 {rank:.0f} 名（共 {ranked:.0f} 名）；{window}内保持过的最好名次为第 {best:.0f} 名。"
    ),
    # RestartUseless
    "The alert that asked for a restart has ended.": "要求重启的告警已结束。",
    "It is not restarted for {rule}: {summary}": "不再因 {rule} 而重启：{summary}",
    "It was restarted for the same reason {time} ago.": "{time}前已因同样的原因重启过。",
    "It was restarted {count} times in the last 24 h.": "最近 24 小时内已重启 {count} 次。",
    "The alert still fires {time} after a restart.": "重启 {time}后告警仍然存在。",
    "It does not train {time} after a restart.": "重启 {time}后仍未恢复训练。",
    # RewardStagnant
    "Its reward stands at {reward} for {time}, over {made:.0f} steps; it should move within {budget}.": (
        "奖励停在 {reward} 已 {time}，期间完成了 {made:.0f} 步；本应在 {budget}内有变化。"
    ),
    "Its reward grows again: {reward}.": "奖励恢复增长：{reward}。",
    "Its reward is {reward}.": "奖励为 {reward}。",
    # RoundLag
    "It is {lag:.0f} rounds behind the swarm (it is in round {own:.0f}) while {state}.": (
        "落后 swarm {lag:.0f} 轮（处于第 {own:.0f} 轮），状态：{state}。"
    ),
    "It is {lag:.0f} rounds behind the swarm while {state}.": "落后 swarm {lag:.0f} 轮，状态：{state}。",
    "It is {lag:.0f} rounds behind the swarm.": "落后 swarm {lag:.0f} 轮。",
    "It is in the swarm's round.": "与 swarm 处于同一轮。",
    # SourceDown
    "All sources answer again.": "所有数据源均已恢复应答。",
    "The source {names} has failed: what is shown of rank and reward is old.": (
        "数据源 {names} 失败：显示的名次和奖励是旧数据。"
    ),
    "The sidecar cannot measure: {names}.": "sidecar 无法测量：{names}。",
    # StepRateDegraded
    "A step takes {now}; it usually took {usual}.": "每步耗时 {now}；以往通常为 {usual}。",
    # SwarmIsolated
    "It is connected to {connected:.0f} peers and publishes.": "已连接 {connected:.0f} 个节点，并在正常发布。",
    "It is connected to no peer, while the board lists {ranked:.0f}.": (
        "没有连接到任何节点，而排行榜上有 {ranked:.0f} 个节点。"
    ),
    "Its last publication lies {time} before its last step.": "最后一次发布比最后一步早了 {time}。",
    # Watchdog
    "The alert loop watches.": "告警循环正在值守。",
    # Evidence
    "Its main thread (all threads: stacks.log):": "其主线程（全部线程见 stacks.log）：",
    "The process that process.json names does not run.": "process.json 所记录的进程没有在运行。",
    "trainer.log ends:": "trainer.log 的末尾：",
    "Biggest of its {count} processes: {name} ({pid}, the trainer itself), {size:.2f} GiB resident.": (
        "其 {count} 个进程中最大的是 {name}（{pid}，训练进程本身），常驻内存 {size:.2f} GiB。"
    ),
    "Biggest of its {count} processes: {name} ({pid}, a child of the trainer), {size:.2f} GiB resident.": (
        "其 {count} 个进程中最大的是 {name}（{pid}，训练进程的子进程），常驻内存 {size:.2f} GiB。"
    ),
    "Process {pid} is stopped by a signal (SIGSTOP); SIGCONT lets it go on.": (
        "进程 {pid} 被信号（SIGSTOP）暂停；SIGCONT 可让它继续。"
    ),
    "Process {pid} is stopped by a debugger.": "进程 {pid} 被调试器暂停。",
    "Process {pid} waits for a disk or a device and cannot be interrupted.": (
        "进程 {pid} 正在等待磁盘或设备，无法被中断。"
    ),
}

TERMS = {
    "starting": "启动中",
    "waiting": "等待中",
    "generating": "生成中",
    "training": "训练中",
    "saving": "保存中",
    "stopped": "已停止",
    "down": "已停机",
    "unreachable": "无响应",
    "running": "运行中",
    "unknown": "未知",
}

REMEDIES = {
    "CrashLoop": (
        "查看上次启动之前的 trainer.log，找最早的错误而不是最后的错误；查看是否被系统的内存回收机制（OOM）终止；"
        "然后停止该节点，直到原因消除。"
    ),
    "DiskLow": "删除旧的检查点、日志和离线记录（logs/wandb/offline-run-*），或把状态目录移到更大的磁盘。",
    "HostMemoryPressure": (
        "在系统自行终止某个程序或停止响应之前，停止一个节点或减小其批大小；`peerwatch plan` 会说明能容纳多少个节点。"
    ),
    "MemoryExceeded": ("减小批大小、生成数量或补全长度，改用更小的模型，或在本机运行更少的节点；重启可暂时释放内存。"),
    "MemoryForecast": (
        "在系统终止它之前，选择合适的时机重启该节点；然后查找增长的原因：更长的补全、不断增长的缓存、"
        "自定义奖励函数中的内存泄漏。"
    ),
    "NonFinite": "停止该节点，回到首次出现此类步之前的检查点；降低学习率、加强梯度裁剪，或用 float32 训练。",
    "OffBoard": (
        "核对状态页上的节点 ID 是否是预期的那个：丢失 identity.pem 会变成新节点；在 trainer.log 中查找发布失败，"
        "并确认排行榜与该节点属于同一个 swarm。"
    ),
    "PeerDown": "查看该节点运行目录中 trainer.log 的末尾；检查本机内存或磁盘是否耗尽；然后重新启动该节点。",
    "PeerRestarted": "目前无需处理；如果再次出现，在 restart.log 和 trainer.log 中查找原因。",
    "PeerStalled": (
        "向训练进程发送 SIGUSR1，查看其运行目录中的 stacks.log，了解卡在何处；如果一分钟后仍无动静，重启该节点。"
    ),
    "RankDrop": (
        "在仪表盘上把该节点的奖励和步速与其他节点比较；在 trainer.log 中查找发布失败；"
        "在训练却没有收益的节点可能是在独自训练。"
    ),
    "RestartUseless": "查看 restart.log、trainer.log 和仍在触发的告警，消除原因；然后自行重启该节点。",
    "RewardStagnant": (
        "在 trainer.log 中查找发布或提交失败；核对节点 ID 与获得奖励的 ID 是否一致；检查该节点的奖励是否全为 0；"
        "如果 swarm 拒绝旧的轮次，重启会有帮助。"
    ),
    "RoundLag": (
        "在 trainer.log 中查找读取 swarm 轮次失败的记录；重启该节点，让它加入当前轮次；如果只是比其他节点慢，"
        "缩短补全长度或改用更小的模型。"
    ),
    "SourceDown": "查看 sidecar 的日志，其中写明原因；检查排行榜是否在运行、是否有任何节点的数据。",
    "StepRateDegraded": (
        "检查是否有其他程序占用处理器或加速器、是否过热（笔记本电脑降频）、是否在使用交换区，以及补全是否变长。"
    ),
    "SwarmIsolated": (
        "检查其他节点是否可达、该节点的端口是否开放；在 trainer.log 中查找 p2pd；重启该节点，让它重新加入 swarm。"
    ),
    "Watchdog": "无需处理；如果它不再出现，检查告警循环是否在运行、其所在机器的网络是否正常。",
}
