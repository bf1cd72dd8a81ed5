"""Simplified Chinese: what the rules of learning say, and their remedies; `zh_cn.py` takes it up."""

TEXTS = {
    # CompletionsCut
    "{ratio:.0%} of completions cut off; reward {reward:.4g}.": "{ratio:.0%} 的补全被截断；奖励 {reward:.4g}。",
    "No completion ended by itself in {reports:.0f} logged steps ({time}), reward {reward:.4g}; limit {limit}.": (
        "连续 {reports:.0f} 个记录步（{time}）没有补全自行结束，奖励停在 {reward:.4g}；上限 {limit} 步。"
    ),
    # LearningDrift
    "Learning as usual.": "学习情况与往常一样。",
    "Entropy {now:.3g}, usually {usual:.3g}.": "熵为 {now:.3g}，通常为 {usual:.3g}。",
    "KL {now:.3g}, usually {usual:.3g}.": "KL 为 {now:.3g}，通常为 {usual:.3g}。",
    "Completions of {now:.0f} tokens, usually {usual:.0f}.": "补全长度为 {now:.0f} 个词元，通常为 {usual:.0f}。",
    "Reward {now:.4g}, usually {usual:.4g}.": "奖励为 {now:.4g}，通常为 {usual:.4g}。",
    # NoLearningSignal
    "Completions of a group differ in reward.": "同组补全的奖励有差异。",
    "No learning signal for {time}, {reports:.0f} logged steps; limit {limit}, {least:.0f} steps.": (
        "已 {time}、{reports:.0f} 个记录步没有学习信号；上限 {limit}、{least:.0f} 步。"
    ),
    "All are right: reward {reward:.4g}, in this run {lowest:.4g} to {highest:.4g}.": (
        "全部正确：奖励 {reward:.4g}，本次训练中为 {lowest:.4g} 至 {highest:.4g}。"
    ),
    "All are wrong: reward {reward:.4g}, in this run {lowest:.4g} to {highest:.4g}.": (
        "全部错误：奖励 {reward:.4g}，本次训练中为 {lowest:.4g} 至 {highest:.4g}。"
    ),
    "All earn the same: reward {reward:.4g}, in this run {lowest:.4g} to {highest:.4g}.": (
        "奖励全部相同：{reward:.4g}，本次训练中为 {lowest:.4g} 至 {highest:.4g}。"
    ),
    "All are cut off at the maximum length: reward {reward:.4g}.": "全部在最大长度处被截断：奖励 {reward:.4g}。",
    "All rewards of this run are {reward:.4g}: they do not tell whether that is right.": (
        "本次训练的奖励始终是 {reward:.4g}：无法据此判断是对是错。"
    ),
    "Each group is all right or all wrong: mean reward {reward:.4g}.": (
        "每组要么全部正确，要么全部错误：平均奖励 {reward:.4g}。"
    ),
    # PolicyMismatch
    "Probabilities of trainer and inference differ by {now:.3g}, usually {usual:.3g}; limit {limit:.3g}.": (
        "训练与推理的概率相差 {now:.3g}，通常为 {usual:.3g}；上限 {limit:.3g}。"
    ),
    # NonFinite
    "{nonfinite:.0f} of {steps:.0f} steps not finite in {time}; limit {limit:.0f}.": (
        "{time}内 {steps:.0f} 步中有 {nonfinite:.0f} 步出现非有限数值（NaN 或 Inf）；上限 {limit:.0f} 步。"
    ),
    "{streak:.0f} logged steps in a row not finite; limit {limit}.": (
        "连续 {streak:.0f} 个记录步出现非有限值；上限 {limit} 步。"
    ),
}

REMEDIES = {
    "CompletionsCut": (
        "允许更长的补全（`max_completion_length`），在提示词中要求更短的回答，或检查模型的结束标记是否就是训练进程停止"
        "生成的标记。"
    ),
    "LearningDrift": (
        "在该节点仪表盘的 Learning 部分查看最先变化的量；奖励下降而长度或 KL 上升，通常说明策略已经跑偏：降低学习率，"
        "或回到较早的检查点。"
    ),
    "NoLearningSignal": (
        "如果全部正确，给该节点更难的任务或结束训练；如果全部错误，换更容易的任务，或检查奖励函数如何评价补全；"
        "如果全部被截断，允许更长的补全。"
    ),
    "NonFinite": (
        "停止该节点；如果它写检查点，回到首次出现此类步之前的检查点；降低学习率、加强梯度裁剪，或用 float32 训练。"
    ),
    "PolicyMismatch": (
        "检查每步之后权重是否以相同精度发送到推理引擎；把推理引擎的采样设置（temperature、top-p）与训练进程的比较；"
        "回到差异开始增长之前的检查点。"
    ),
}
