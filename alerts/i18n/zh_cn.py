"""Simplified Chinese."""

from alerts.i18n import Words, _zh_cn_learning, _zh_cn_machines, _zh_cn_swarm
from alerts.i18n._zh_cn_evidence import EVIDENCE
from alerts.i18n._zh_cn_page import PAGE
from alerts.i18n._zh_cn_peer import PEER_PAGE
from alerts.i18n._zh_cn_remedies import REMEDIES

TEXTS = {
    # What several rules say.
    "Checkpoints are written.": "正在写检查点。",
    "No checkpoints are written; none has been since the trainer started.": "没有写检查点；启动以来还没有写过。",
    "No checkpoints are written; the last one is {age} old.": "没有写检查点；最近的检查点已有 {age}。",
    "Trainer not running.": "训练进程未运行。",
    "Trainer was restarted.": "训练进程已重启。",
    "Trainer has stopped training.": "训练已结束。",
    "On SIGUSR1 it writes its stacks to stacks.log.": "收到 SIGUSR1 后，它会把调用栈写入 stacks.log。",
    "{seconds:.1f} s": "{seconds:.1f} 秒",
    "{seconds:.2f} s": "{seconds:.2f} 秒",
    # AcceleratorLost
    "Accelerators answer: {count}.": "加速卡应答正常：{count} 块。",
    "Trainer runs without an accelerator.": "训练进程运行中，未使用加速卡。",
    "{first} Accelerators lost: {count} of {all}.": "{first}失去的加速卡：{all} 块中的 {count} 块。",
    "No answer about accelerator {told} in time: card or driver hangs.": "加速卡 {told} 未按时应答：卡或驱动已挂起。",
    "Accelerator {told} lost: Xid {number} in the kernel's log.": "加速卡 {told} 已失去：内核日志中有 Xid {number}。",
    "Accelerator {told} is gone: the driver does not list it any more.": "加速卡 {told} 已消失：驱动不再列出它。",
    "Accelerator {told} must be reset, says its driver.": "驱动报告加速卡 {told} 必须重置。",
    "Accelerator {told} is lost, says its driver.": "驱动报告加速卡 {told} 已失去。",
    # CrashLoop
    "{count} restarts in {time}; limit {limit} in {window}.": "{time}内重启 {count} 次；上限 {window}内 {limit} 次。",
    "No restart for {time}.": "已 {time}没有重启。",
    # DiskLow
    "{free:.2f} GiB of {total:.0f} GiB free on the disk of {path}; limit {limit:.2f} GiB.": (
        "{path} 所在磁盘共 {total:.0f} GiB，剩余 {free:.2f} GiB；下限 {limit:.2f} GiB。"
    ),
    "{free:.2f} GiB free on the disk of {path}; limit {limit:.2f} GiB.": (
        "{path} 所在磁盘剩余 {free:.2f} GiB；下限 {limit:.2f} GiB。"
    ),
    # HostMemoryPressure
    "{available:.0%} of memory available, {swap:.2f} GiB of swap used": (
        "可用内存 {available:.0%}，交换区已用 {swap:.2f} GiB"
    ),
    "{measured}.": "{measured}。",
    "Programs stalled on memory {stalled:.0%} of the time; limit {limit:.0%}; {measured}.": (
        "程序有 {stalled:.0%} 的时间在等待内存；上限 {limit:.0%}；{measured}。"
    ),
    "The system reports critical memory pressure; {measured}.": "系统报告内存压力已达严重级别；{measured}。",
    "Low memory: {measured}; limits {least:.0%} and {most:.2f} GiB.": (
        "内存不足：{measured}；限值分别为 {least:.0%} 和 {most:.2f} GiB。"
    ),
    "Low memory within a limit of {total:.2f} GiB, without swap: {measured}; limit {least:.0%}.": (
        "内存上限为 {total:.2f} GiB 且无交换区，内存不足：{measured}；限值 {least:.0%}。"
    ),
    # MemoryExceeded
    "Memory {used:.2f} GiB, {share:.0%} of the limit of {limit:.2f} GiB.": (
        "内存占用 {used:.2f} GiB，为上限 {limit:.2f} GiB 的 {share:.0%}。"
    ),
    "Memory {used:.2f} GiB (resident size), {share:.0%} of the limit of {limit:.2f} GiB.": (
        "内存占用 {used:.2f} GiB（常驻内存），为上限 {limit:.2f} GiB 的 {share:.0%}。"
    ),
    # MemoryForecast
    "Memory grows {hourly:.2f} GiB/h from {level:.2f} GiB; limit {limit:.2f} GiB in about {time}.": (
        "内存占用为 {level:.2f} GiB，每小时增加 {hourly:.2f} GiB；约 {time}后达到上限 {limit:.2f} GiB。"
    ),
    "Memory no longer grows.": "内存占用不再增长。",
    # OffBoard
    "Trains and publishes, but is not on the board: no rank.": "在训练并已发布结果，但不在排行榜上：没有名次。",
    "On the board at rank {rank:.0f}.": "排行榜上的名次为第 {rank:.0f} 名。",
    # PeerDown
    "Sidecar unreachable for {time} ({failure}); limit {limit}; trainer state unknown.": (
        "sidecar 已 {time}没有应答（{failure}）；上限 {limit}；训练进程状态未知。"
    ),
    "Trainer finished.": "训练已完成。",
    "Trainer process gone.": "训练进程已消失。",
    "Trainer process gone; last state: {state}.": "训练进程已消失；最后状态：{state}。",
    "No step since the trainer started {time} ago; limit {limit}.": (
        "训练进程已启动 {time}，尚未完成任何一步；上限 {limit}。"
    ),
    "Trainer running.": "训练进程正在运行。",
    "Trainer not seen running for {time}; limit {limit}.": "已 {time}未见到训练进程运行；上限 {limit}。",
    "Trainer exited and was not restarted.": "训练进程已退出，之后没有重启。",
    "Trainer running, waiting.": "训练进程正在运行，等待中。",
    "no answer within {seconds:g} s": "{seconds:g} 秒内没有应答",
    "no connection": "无法连接",
    "the connection broke": "连接中断",
    "the page is not a sidecar's": "该页面不是 sidecar 的页面",
    "it answered {status}": "返回了 {status}",
    "the page is compressed although that was not asked for": "页面被压缩，而请求中并未要求",
    "the page is larger than {most} KiB": "页面大于 {most} KiB",
    # PeerFailed
    "The kernel killed the trainer: out of memory.": "训练进程因内存不足被内核终止。",
    "How the trainer ended is not known.": "训练进程如何结束尚不清楚。",
    "Trainer was stopped.": "训练进程被人为停止。",
    "Trainer ended by signal {signal}.": "训练进程因信号 {signal} 结束。",
    "Trainer ended with exit code {code:.0f}.": "训练进程结束，退出码 {code:.0f}。",
    # KnownProblem
    "No known problem lasts.": "没有持续的已知问题。",
    "Known problem for {time}, while rounds go on: {problem}. Remedy: {remedy}.": (
        "已知问题已持续 {time}，而轮次仍在推进：{problem}。处理办法：{remedy}。"
    ),
    # ProgressMissing
    "The trainer reports its progress itself.": "训练进程自行报告进展。",
    "Nothing is read of its progress as it goes.": "没有读取器随时读取其进展。",
    "Progress is read again.": "已重新读到进展。",
    "Trainer idle.": "训练进程空闲。",
    "Trainer spins in one thread.": "训练进程在单个线程中空转。",
    "No report of progress read for {time} ({readers}); limit {limit}.": (
        "已 {time}没有读到进展记录（{readers}）；上限 {limit}。"
    ),
    # PeerStalled
    "No progress for {time} while {state}; limit {limit}.": "已 {time}没有进展，状态：{state}；上限 {limit}。",
    "Last step: {steps:.0f}, {time} ago.": "最后一步：第 {steps:.0f} 步，{time}前。",
    "CPU idle: {used:.1f} s used in {time}.": "CPU 空闲：{time}内使用 {used:.1f} 秒。",
    "CPU idle: {cores:.2f} cores in use, usually {usual:.2f}.": "CPU 空闲：使用 {cores:.2f} 核，通常 {usual:.2f} 核。",
    "CPU spinning in one thread: {cores:.2f} cores in use, usually {usual:.2f}.": (
        "CPU 单线程空转：使用 {cores:.2f} 核，通常 {usual:.2f} 核。"
    ),
    "CPU as busy as usual: {cores:.2f} cores in use, usually {usual:.2f}.": (
        "CPU 与平常一样繁忙：使用 {cores:.2f} 核，通常 {usual:.2f} 核。"
    ),
    "CPU busy: {used:.1f} s used in {time}.": "CPU 繁忙：{time}内使用 {used:.1f} 秒。",
    "Trainer works, but no progress is read.": "训练进程在工作，但没有读到进展。",
    "Making progress again.": "已恢复进展。",
    # PeerRestarted
    "Restarted because of {rule}: {summary}": "因 {rule} 而重启：{summary}",
    "Waited {time} for a checkpoint.": "等待检查点用时 {time}。",
    "The restart did not help.": "重启没有解决问题。",
    "Not restarted.": "没有重启。",
    "Training again {time} after the restart.": "重启 {time}后恢复训练。",
    "Training again {time} after the restart; memory from {before:.2f} to {after:.2f} GiB.": (
        "重启 {time}后恢复训练；内存占用从 {before:.2f} GiB 变为 {after:.2f} GiB。"
    ),
    # RankDrop
    "Rank {rank:.0f} of {ranked:.0f}, {drop:.0f} below rank {best:.0f} within {window}; limit {limit:.0f}.": (
        "第 {rank:.0f} 名（共 {ranked:.0f} 名），比最近 {window}内保持过的第 {best:.0f} 名下降 {drop:.0f} 名；"
        "上限 {limit:.0f} 名。"
    ),
    "Rank {rank:.0f} of {ranked:.0f}; best rank held within {window}: {best:.0f}.": (
        "第 {rank:.0f} 名（共 {ranked:.0f} 名）；{window}内保持过的最好名次：第 {best:.0f} 名。"
    ),
    # RestartUseless
    "The alert that requested a restart has ended.": "要求重启的告警已结束。",
    "Not restarted for {rule}: {summary}": "不再因 {rule} 而重启：{summary}",
    "Restarted for the same reason {time} ago.": "{time}前已因同样的原因重启过。",
    "Restarted {count} times in 24 h.": "24 小时内已重启 {count} 次。",
    "Still firing {time} after a restart.": "重启 {time}后告警仍然存在。",
    "Not training {time} after a restart.": "重启 {time}后仍未恢复训练。",
    # RewardStagnant
    "Reward unchanged at {reward} for {time}, {made:.0f} steps; limit {limit}, {limit_steps:.0f} steps.": (
        "奖励停在 {reward} 已 {time}、{made:.0f} 步；上限 {limit}、{limit_steps:.0f} 步。"
    ),
    "Reward grows again: {reward}.": "奖励恢复增长：{reward}。",
    "Reward: {reward}.": "奖励：{reward}。",
    # LeaderOverruled
    "The swarm shows another round than this leader announces.": "swarm 显示的轮次与该领导节点公布的不同。",
    "The swarm shows the round that this leader announces.": "swarm 显示的轮次与该领导节点公布的一致。",
    # RewardRefused
    "The swarm refuses this peer's reward.": "swarm 拒绝该节点的奖励。",
    "The swarm takes this peer's reward.": "swarm 接受该节点的奖励。",
    # RoundLag
    "{lag:.0f} rounds behind the swarm (in round {own:.0f}) while {state}; limit {limit}.": (
        "落后 swarm {lag:.0f} 轮（处于第 {own:.0f} 轮），状态：{state}；上限 {limit} 轮。"
    ),
    "{lag:.0f} rounds behind the swarm while {state}; limit {limit}.": (
        "落后 swarm {lag:.0f} 轮，状态：{state}；上限 {limit} 轮。"
    ),
    "{lag:.0f} rounds behind the swarm.": "落后 swarm {lag:.0f} 轮。",
    "In the swarm's round.": "与 swarm 处于同一轮。",
    # SourceDown
    "All sources and collectors OK.": "所有数据源和采集器均正常。",
    "Source {names} failed: rank and reward are stale.": "数据源 {names} 失败：名次和奖励是旧数据。",
    "Collectors failed: {names}.": "采集器失败：{names}。",
    # StepRateDegraded
    "Step time {now}, usually {usual}; limit {limit}.": "每步耗时 {now}，通常为 {usual}；上限 {limit}。",
    # SwarmIsolated
    "Connected to {connected:.0f} peers and publishing.": "已连接 {connected:.0f} 个节点，并在正常发布。",
    "Connected to no peer; the board lists {ranked:.0f}.": "没有连接到任何节点；排行榜上有 {ranked:.0f} 个节点。",
    "Last publication {time} before the last step; limit {limit}.": "最后一次发布比最后一步早 {time}；上限 {limit}。",
    # Watchdog
    "Alert loop running.": "告警循环正在运行。",
    **EVIDENCE,
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
    "firing": "告警中",
    "pending": "待触发",
}

WORDS = Words(
    prefix={"firing": "", "reminder": "仍在告警：", "resolved": "已恢复：", "passed": "曾告警，已恢复："},
    count={
        "firing": "{} 个告警中",
        "reminder": "{} 个仍在告警",
        "resolved": "{} 个已恢复",
        "passed": "{} 个曾告警并已恢复",
    },
    severity={"critical": "严重", "warning": "警告", "info": "提示"},
    colon="：",
    comma="、",
    peers="{} 个节点",
    all_peers="全部 {} 个节点",
    since="始于 {}。",
    since_lasting="始于 {}（已持续 {}）。",
    since_first="最早始于 {}。",
    lasted="持续了 {}，始于 {}。",
    unknown_time="未知时间",
    fleet="集群 {}",
    fleet_severity="集群 {}，级别：{}",
    remedy="处理办法：{}",
    span="{} 至 {}",
    part="{}（{}/{}）",
    more="另有 {} 个，见状态页",
    shortened="…（已截短）",
    after_quiet="免打扰时段已结束",
    digest_title="每日摘要",
    digest_peers="{} / {} 个节点在运行。",
    digest_quiet="当前没有告警。",
    digest_events="自上次摘要以来：{} 次告警，{} 次恢复。",
    digest_firing="当前告警：",
    watcher={
        "state_lost_title": "告警状态已丢失",
        "state_lost": (
            "告警循环的数据库已损坏，保留为 {}，并已新建数据库：仍然成立的告警会重新通知，期间已恢复的不再通知。"
        ),
        "took_over_title": "备用监控已接管",
        "took_over": "主监控 {} 无响应。在其恢复之前，通知由备用监控发送。",
        "handed_back_title": "主监控已恢复",
        "handed_back": "{} 上的监控重新发送通知；此前由备用监控接管。",
    },
    test_title="测试通知",
    test_body="这是通知渠道 {} 的测试：告警会发送到这里。",
    bot={
        "help": (
            "/status：各节点的状态\n/alerts：当前告警和生效的静默\n"
            "/ack：确认当前所有告警，不再提醒；/ack 名称 只确认一个节点或一条规则\n"
            "/silence 2h 节点：静默该节点的告警；* 匹配任意字符\n"
            "/unsilence：结束所有静默；/unsilence 节点或编号 只结束一个"
        ),
        "ack": "确认",
        "silence_button": "静默 1 小时",
        "acknowledged": "已确认：{}",
        "silenced": "已静默至 {1}：{0}",
        "unsilenced": "已结束的静默数：{}",
        "no_silence": "没有这个静默。",
        "none_fires": "没有符合条件的告警。",
        "over": "这些告警已不再触发。",
        "too_many": "告警太多，无法逐个静默；请发送 /silence 1h 节点，可用 * 匹配任意字符。",
        "usage_silence": "用法：/silence 时长 节点，例如 /silence 2h rig-1",
        "unknown_peer": "目前没有匹配的节点。",
        "stale": "未执行：该命令发送于 {} 前，当时未接收命令。如仍需要，请重新发送。",
        "firing": "当前告警数：{}",
        "rank": "第 {} 名",
        "silence": "静默 {}：{}，节点 {}，至 {}",
        "is_silenced": "已静默",
        "is_acknowledged": "已确认",
        "is_inhibited": "被 {} 抑制",
        "more": "另有 {} 个",
    },
    page={**PAGE, **PEER_PAGE},
    charts={
        "memory_bytes": "内存（GiB）",
        "steps_per_second": "每秒步数",
        "rank": "名次",
        "reward_cumulative": "累计奖励",
        "host_memory_available_bytes": "可用内存（GiB）",
        "host_disk_free_bytes": "剩余磁盘空间（GiB）",
        "limit": "上限 {:.4g}",
    },
    units={"d": "天", "h": "小时", "min": "分钟", "s": "秒"},
    texts=TEXTS | _zh_cn_learning.TEXTS | _zh_cn_machines.TEXTS | _zh_cn_swarm.TEXTS,
    terms=TERMS,
    remedies=REMEDIES | _zh_cn_learning.REMEDIES | _zh_cn_machines.REMEDIES | _zh_cn_swarm.REMEDIES,
    between_sentences="",
    fonts=("Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Source Han Sans SC", "WenQuanYi Zen Hei", "SimHei"),
)
