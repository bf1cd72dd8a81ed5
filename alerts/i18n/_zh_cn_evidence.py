"""Simplified Chinese of what goes with an alert: evidence, and the known problems of trainers' logs."""

EVIDENCE = {
    "Main thread (all threads: stacks.log):": "主线程（全部线程见 stacks.log）：",
    "The process in process.json is not running.": "process.json 所记录的进程没有在运行。",
    "{file} ends:": "{file} 的末尾：",
    "Last exception: {line}": "最后的异常：{line}",
    "Known problem: {problem}. Remedy: {remedy}.": "已知问题：{problem}。处理办法：{remedy}。",
    "Known problem, {count} times: {problem}. Remedy: {remedy}.": (
        "已知问题（{count} 次）：{problem}。处理办法：{remedy}。"
    ),
    "Process {pid} waits for a connection to {end}.": "进程 {pid} 正在等待与 {end} 建立连接。",
    "Process {pid} waits for {end}.": "进程 {pid} 正在等待 {end}。",
    "Process {pid} is connected to {end}.": "进程 {pid} 已连接到 {end}。",
    "{address} (process {pid})": "{address}（进程 {pid}）",
    "{address} (process {pid}, stopped by a signal)": "{address}（进程 {pid}，已被信号暂停）",
    "{address} (process {pid}, stopped by a debugger)": "{address}（进程 {pid}，已被调试器暂停）",
    "{address} (process {pid}, in uninterruptible sleep)": "{address}（进程 {pid}，处于不可中断的睡眠）",
    "Process {pid} waits in the kernel: {call}.": "进程 {pid} 在内核中等待：{call}。",
    "Process {pid} waits in the kernel: {call} on {target}.": "进程 {pid} 在内核中等待：{call}，对象 {target}。",
    "Process {pid} is in uninterruptible sleep, with {path} open on {device} ({kind}).": (
        "进程 {pid} 处于不可中断的睡眠，并打开了 {device}（{kind}）上的 {path}。"
    ),
    "The disk of {path} is full: {free:.0f} MiB free.": "{path} 所在磁盘已满：剩余 {free:.0f} MiB。",
    "Largest of {count} processes: {name} (PID {pid}, the trainer), {size:.2f} GiB resident.": (
        "{count} 个进程中最大的是 {name}（PID {pid}，训练进程），常驻内存 {size:.2f} GiB。"
    ),
    "Largest of {count} processes: {name} (PID {pid}, a child of the trainer), {size:.2f} GiB resident.": (
        "{count} 个进程中最大的是 {name}（PID {pid}，训练进程的子进程），常驻内存 {size:.2f} GiB。"
    ),
    "Process {pid} is stopped by a signal (SIGSTOP); SIGCONT resumes it.": (
        "进程 {pid} 被信号（SIGSTOP）暂停；SIGCONT 可让它继续。"
    ),
    "Process {pid} is stopped by a debugger.": "进程 {pid} 被调试器暂停。",
    "Process {pid} is in uninterruptible sleep: it waits for a disk or a device.": (
        "进程 {pid} 处于不可中断的睡眠：正在等待磁盘或设备。"
    ),
    # Known problems of a trainer's log
    "the system killed the trainer, most likely out of memory": "系统终止了训练进程，很可能是内存不足",
    "run fewer peers or a smaller model; `peerwatch plan` says what fits": (
        "减少节点数或换用更小的模型；`peerwatch plan` 会说明本机能容纳多少"
    ),
    "a step needed more memory than there is": "某一步所需的内存超过了可用内存",
    "lower the batch size, the number of completions or their length": "减小批大小、补全数量或补全长度",
    "another process uses this peer's identity": "另一个进程正在使用该节点的身份",
    "stop the other one, or give this peer its own key": "停止另一个进程，或为该节点使用单独的密钥",
    "the swarm's initial peers could not be reached": "无法连接 swarm 的初始节点",
    "check the network and the addresses below swarm.initial_peers": "检查网络和 swarm.initial_peers 中的地址",
    "hivemind's network daemon did not start": "hivemind 的网络守护进程没有启动",
    "check free memory, left-over p2pd processes and the limit on open files; then start the peer again": (
        "检查可用内存、残留的 p2pd 进程和打开文件数上限；然后重新启动该节点"
    ),
    "the connection to the DHT process broke; rl-swarm 0.4 crashes soon after": (
        "与 DHT 进程的连接中断；rl-swarm 0.4 随后会崩溃"
    ),
    "restart the peer now, before it crashes": "现在就重启该节点，不要等它崩溃",
    "a stage had too few questions for the configuration": "某一阶段的题目数量不足以满足配置",
    "set steps_per_generation: 1 in rl-swarm's configuration, or let more peers join": (
        "在 rl-swarm 的配置中设置 steps_per_generation: 1，或让更多节点加入"
    ),
    "the peer joined a round behind its last stage": "节点在某一轮的最后阶段之后才加入",
    "start it again: it joins at the next round": "重新启动：它会在下一轮加入",
    "wandb waits for a log-in without a terminal": "wandb 在没有终端的情况下等待登录",
    "start the trainer with WANDB_MODE=offline": "启动训练时设置 WANDB_MODE=offline",
    "several peers of one account submitted at once": "同一账户的多个节点同时提交",
    "start them some minutes apart, so that their submissions do not collide": "相隔几分钟依次启动，避免提交冲突",
    "rewards are not accepted by the chain": "链不接受奖励提交",
    "log in again at the log-in server, and see its yarn.log": "在登录服务器上重新登录，并查看其 yarn.log",
    "the peer could not be registered on the chain": "节点无法在链上注册",
    "what other peers publish could not be read": "无法读取其他节点发布的内容",
    "wait; if it persists, restart the peer": "稍等；如果持续，重启该节点",
    "ollama, which judges the answers, gave no model": "负责评判答案的 ollama 没有提供模型",
    "see that ollama runs and its disk has space: `ollama list`": "确认 ollama 正在运行且磁盘有空间：`ollama list`",
    "the prediction game failed; training goes on": "预测游戏失败；训练继续进行",
    "update rl-swarm, or start it with PRG_GAME=false": "更新 rl-swarm，或以 PRG_GAME=false 启动",
    "the model could not be pushed to Hugging Face": "模型无法推送到 Hugging Face",
    "give it a token that may write, or start without one": "使用有写权限的令牌，或不使用令牌启动",
    "parts of a round were lost or begun again": "一轮中的部分内容丢失或重新开始",
    "nothing, if it is rare; else see the error above that line in its log": (
        "若很少出现则无需处理；否则查看日志中该行之前的错误"
    ),
    "the chain did not answer when asked for the round": "查询当前轮次时链没有应答",
    "wait; if it persists, use another RPC address": "稍等；如果持续，换用其他 RPC 地址",
    "a port was in use": "端口已被占用",
    "end leftovers of an earlier run, or choose other ports": "结束上次运行残留的进程，或换用其他端口",
    "Hugging Face limits the rate of downloads": "Hugging Face 限制了下载频率",
    "wait an hour, or log in with a token of your own": "等待一小时，或用自己的令牌登录",
    "the disk was full": "磁盘已满",
    "free some space, or set state_dir to another disk": "清理空间，或把 state_dir 设到其他磁盘",
    "a file could not be written or read as a whole": "某个文件无法完整写入或读取",
    "check the disk's free space, quota and connection; was it the output of a closed terminal, start without one": (
        "检查磁盘的剩余空间、配额和连接；若是已关闭终端的输出，请脱离终端启动"
    ),
    "the address of a host could not be looked up": "无法查到某台主机的地址",
    "check this machine's network and DNS, and the host's name; offline, HF_HUB_OFFLINE=1 uses what is on the disk": (
        "检查本机的网络和 DNS 以及主机名；离线时 HF_HUB_OFFLINE=1 会使用磁盘上已有的文件"
    ),
    "a model, data set, revision or file of it was not found": "未找到模型、数据集、其版本或其中的文件",
    "check its name or path, and the revision; a private one needs a token that may read it": (
        "检查名称或路径以及版本；私有的需要有读权限的令牌"
    ),
    "Hugging Face refused access to a model or data set, or the token": (
        "Hugging Face 拒绝访问模型或数据集，或拒绝了令牌"
    ),
    "ask for access on its page if it is gated; log in with a token that holds and may read it": (
        "若需申请，在其页面申请访问；用有效且有读权限的令牌登录"
    ),
    "Hugging Face could not be reached": "无法连接 Hugging Face",
    "check the network and any proxy; HF_HUB_OFFLINE=1 uses what is on the disk": (
        "检查网络和代理；HF_HUB_OFFLINE=1 会使用磁盘上已有的文件"
    ),
    "another process of the run was lost, or did not answer in time": "本次运行的另一个进程丢失，或未及时应答",
    "see the first error in the logs of all ranks; else check the network between them, or raise the timeout": (
        "查看所有 rank 日志中最早的错误；若没有，检查它们之间的网络，或调大超时"
    ),
    "a process below the launcher ended with an error": "启动器之下的某个进程因错误结束",
    "see that process's own error, above in the log or in the log of its rank": (
        "查看该进程自己的错误：在日志前文，或在其 rank 的日志中"
    ),
    "the limit on open files was reached": "打开文件数达到上限",
    "raise it: `ulimit -n 4096` before the start": "提高上限：启动前运行 `ulimit -n 4096`",
    "rounds go on, but nothing is learned or shared": "轮次继续进行，但没有学习也没有共享",
    "restart the peer; see the error above that line in its log": "重启该节点；查看日志中该行之前的错误",
    "the trainer ended with an error": "训练进程因错误结束",
    "see the lines before it in the log": "查看日志中该行之前的内容",
}
