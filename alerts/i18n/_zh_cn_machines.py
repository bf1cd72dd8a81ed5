"""Simplified Chinese of what is said of machines and watchers elsewhere."""

TEXTS = {
    "its certificate is not trusted": "其证书不受信任",
    "it has told no peers yet": "尚未告知其节点",
    "it has pushed no page yet": "尚未推送任何页面",
    "no page was pushed within {time}": "{time}内没有推送页面",
    "its sidecar does not answer there": "其 sidecar 在该机器上没有应答",
    # Why a standby does not hear the first watcher.
    "no answer": "没有应答",
    "its certificate is not the one of the token's file": "其证书不是令牌文件中的证书",
    "its answer is not a watcher's, or another release's": "其应答不是监控的应答，或版本不同",
    "its answer is larger than {mebibytes} MiB": "其应答超过 {mebibytes} MiB",
    "its answer could not be used": "其应答无法使用",
    "that is this watcher itself": "该地址就是本监控自身",
    "it watches the fleet {fleet}": "它监控的是集群 {fleet}",
    "it does not evaluate its rules, or stands by itself": "它没有评估规则，或自身正在备用",
    "it is no watcher of Peerwatch, or an older one": "它不是 Peerwatch 监控，或版本较旧",
    "the token is not its; copy {file} from its state folder again": "令牌与其不符；请从其状态目录重新复制 {file}",
    # HostDown
    "The machine answers.": "该机器有应答。",
    "No sidecar of the machine answers for {time} ({failure}); limit {limit}.": (
        "该机器的 sidecar 已 {time}没有任何应答（{failure}）；上限 {limit}。"
    ),
    # ClockSkew
    "The clocks agree within {limit}.": "时钟相差在 {limit}以内。",
    "Its clock is {time} ahead; limit {limit}.": "其时钟快了 {time}；上限 {limit}。",
    "Its clock is {time} behind; limit {limit}.": "其时钟慢了 {time}；上限 {limit}。",
}

REMEDIES = {
    "HostDown": "检查该机器是否在运行、从本机能否访问；然后在该机器上运行 `peerwatch status`。",
    "ClockSkew": (
        "在该机器上打开时间同步（`timedatectl set-ntp true` 或 chrony；虚拟机挂起之后也要检查），并确认本机时钟正确。"
    ),
}
