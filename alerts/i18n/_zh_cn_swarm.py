"""Simplified Chinese: what the rules of rewards on a contract say, and their remedies; `zh_cn.py` takes it up."""

TEXTS = {
    # NeverSubmits
    "Runs for {time}: long enough to submit.": "已运行 {time}，足以提交奖励。",
    "The contract has credited rewards since.": "此后合约已记入奖励。",
    "{count} restarts in a row before a submission.": "提交之前已连续重启 {count} 次。",
    "{count} restarts in a row within {period}, before anything was submitted; since {time}; limit {limit}.": (
        "连续 {count} 次在 {period} 内重启，奖励尚未提交就已丢失，已持续 {time}；上限 {limit} 次。"
    ),
    # RewardNotCounting
    "The contract credits rewards: {time} ago.": "合约正在记入奖励：最近一次在 {time} 前。",
    "Rounds advance, but no contract credited anything for {time}; limit {limit}.": (
        "轮次在推进，但所有合约已有 {time} 未记入任何奖励；上限 {limit}。"
    ),
    "Takes part, but contract {contract} credited nothing for {time}; limit {limit}.": (
        "节点在参与，但合约 {contract} 已有 {time} 未记入任何奖励；上限 {limit}。"
    ),
}

REMEDIES = {
    "NeverSubmits": (
        "找出节点重启的原因（日志、CrashLoop、规则的 `restart: true`、自己的定时任务），让它的运行时间超过提交周期；"
        "需要重启时，在一次提交之后立即进行。"
    ),
    "RewardNotCounting": (
        "运行 `peerwatch doctor`：它会说明节点是否已注册、属于哪个账户、在哪个合约上；在登录服务的日志中查找失败的提交"
        "；若账户签名被拒绝，请重新登录；若合约已过时，请更新 rl-swarm。"
    ),
}
