"""The words of the status page in each language; what a rule says of its peer stays as the rule words it."""

from dataclasses import dataclass

from alerts.i18n.catalog import LANGUAGES, Language, Words

# How long a silence may last that somebody asks for on the page.
SILENCE_CHOICES = ("1h", "4h", "12h", "1d", "7d")


@dataclass(frozen=True)
class PageWords:
    """The page's own texts; `{}` is where a figure or a name goes."""

    tag: Language
    quiet: str
    firing_one: str
    firing_many: str
    peers_up: str
    first_evaluation: str
    unhealthy: str
    evaluated: str
    ago: str
    span: str
    live: str
    connecting: str
    lost: str
    stale: str
    no_script: str
    skip: str
    alerts: str
    peers: str
    board: str
    silences: str
    recent: str
    notifications: str
    actions: str
    peer: str
    state: str
    step_rate: str
    last_step: str
    memory: str
    memory_of: str
    rank: str
    rank_of: str
    better: str
    worse: str
    reward: str
    round: str
    round_stage: str
    place: str
    total: str
    last_reward: str
    ours: str
    curve: str
    no_peers: str
    no_board: str
    board_failed: str
    board_empty: str
    board_more: str
    since: str
    acknowledge: str
    acknowledged: str
    silence: str
    silence_for: str
    silenced: str
    hidden_by: str
    until: str
    everything: str
    end_silence: str
    no_silence: str
    failed: str
    done: str
    route_failing: str
    route_delivered: str
    route_unused: str
    route_waiting: str
    route_held: str
    route_expired: str
    no_route: str
    no_event: str
    phases: dict[str, str]
    states: dict[str, str]

    @property
    def common(self) -> Words:
        """The words that messages have too."""
        return LANGUAGES[self.tag]

    @property
    def units(self) -> str:
        """Day, hour, minute and second, as the script writes ages."""
        return " ".join(self.common.units.get(unit, unit) for unit in ("d", "h", "min", "s"))


_ENGLISH = PageWords(
    tag="en",
    quiet="No alert is firing",
    firing_one="1 alert is firing",
    firing_many="{} alerts are firing",
    peers_up="{} of {} peers run",
    first_evaluation="The first evaluation is under way",
    unhealthy="The rules are no longer evaluated",
    evaluated="Evaluated",
    ago="{} ago",
    span="last {}",
    live="live",
    connecting="connecting",
    lost="Connection lost: this page is out of date. It keeps trying to connect.",
    stale="No evaluation has come for a while: this page is out of date.",
    no_script="Without JavaScript this page is read-only and reloads every 15 seconds.",
    skip="Skip to the alerts",
    alerts="Alerts",
    peers="Peers",
    board="Board",
    silences="Silences",
    recent="Recent",
    notifications="Notifications",
    actions="Actions",
    peer="Peer",
    state="State",
    step_rate="Steps/s",
    last_step="Last step",
    memory="Memory",
    memory_of="{} of {}",
    rank="Rank",
    rank_of="{} of {}",
    better="{places} better than {span} ago",
    worse="{places} worse than {span} ago",
    reward="Reward",
    round="Round",
    round_stage="{}, stage {}",
    place="Place",
    total="Total reward",
    last_reward="Last stage",
    ours="ours",
    curve="{}: {} to {}",
    no_peers="No peer is configured.",
    no_board="No leaderboard is configured.",
    board_failed="The leaderboard could not be read: {}",
    board_empty="Nobody is on the board yet.",
    board_more="{} on the board",
    since="since {}",
    acknowledge="Acknowledge",
    acknowledged="acknowledged",
    silence="Silence",
    silence_for="Silence for",
    silenced="silenced",
    hidden_by="hidden by {}",
    until="until {}",
    everything="any",
    end_silence="End",
    no_silence="Nothing is silenced.",
    failed="That did not work: {}",
    done="Done.",
    route_failing="{} failed attempts in a row, the last one: {}",
    route_delivered="last delivered {}",
    route_unused="nothing delivered since the start",
    route_waiting="{} waiting",
    route_held="{} held until the quiet hours end",
    route_expired="{} given up",
    no_route="No route is configured: alerts are shown here only.",
    no_event="No alert has fired yet.",
    phases={"firing": "firing", "pending": "pending"},
    states={},
)

_CHINESE = PageWords(
    tag="zh-CN",
    quiet="没有告警",
    firing_one="1 个告警",
    firing_many="{} 个告警",
    peers_up="{} / {} 个节点在运行",
    first_evaluation="正在进行首次检查",
    unhealthy="规则检查已停止",
    evaluated="检查于",
    ago="{}前",
    span="最近 {}",
    live="实时",
    connecting="连接中",
    lost="连接已断开：页面内容已过时，正在重新连接。",
    stale="一段时间没有新的检查结果：页面内容已过时。",
    no_script="未启用 JavaScript：页面只读，每 15 秒刷新一次。",
    skip="跳到告警",
    alerts="告警",
    peers="节点",
    board="排行榜",
    silences="静默",
    recent="最近事件",
    notifications="通知",
    actions="操作",
    peer="节点",
    state="状态",
    step_rate="步/秒",
    last_step="上一步",
    memory="内存",
    memory_of="{} / {}",
    rank="排名",
    rank_of="{} / {}",
    better="比 {span}前上升 {places} 位",
    worse="比 {span}前下降 {places} 位",
    reward="奖励",
    round="轮次",
    round_stage="{}，阶段 {}",
    place="名次",
    total="累计奖励",
    last_reward="上一阶段",
    ours="本机",
    curve="{}：{} 至 {}",
    no_peers="没有配置节点。",
    no_board="没有配置排行榜。",
    board_failed="无法读取排行榜：{}",
    board_empty="排行榜还是空的。",
    board_more="榜上共 {} 个",
    since="始于 {}",
    acknowledge="确认",
    acknowledged="已确认",
    silence="静默",
    silence_for="静默时长",
    silenced="已静默",
    hidden_by="由 {} 引起，已隐藏",
    until="至 {}",
    everything="任意",
    end_silence="结束",
    no_silence="没有静默。",
    failed="操作未成功：{}",
    done="已完成。",
    route_failing="连续失败 {} 次，最近一次：{}",
    route_delivered="最近送达：{}",
    route_unused="启动以来没有送达",
    route_waiting="{} 条等待发送",
    route_held="{} 条等待免打扰时段结束",
    route_expired="{} 条已放弃",
    no_route="没有配置通知渠道：告警只在此处显示。",
    no_event="还没有过告警。",
    phases={"firing": "告警中", "pending": "待确认"},
    states={
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
    },
)

PAGE_WORDS: dict[Language, PageWords] = {"en": _ENGLISH, "zh-CN": _CHINESE}
