"""Simplified Chinese of what is said of machines elsewhere."""

TEXTS = {
    "its certificate is not trusted": "其证书不受信任",
    "it has told no peers yet": "尚未告知其节点",
    "it has pushed no page yet": "尚未推送任何页面",
    "no page was pushed within {time}": "{time}内没有推送页面",
    "its sidecar does not answer there": "其 sidecar 在该机器上没有应答",
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
