"""Short stories in Chinese, made like the English ones."""

from .grammar import expand
from .words import COLOURS, HEROES, NAMES_CHINESE

CHARACTER_NAMES = (
    "白白 灰灰 咪咪 跳跳 胖胖 多多 闪闪 卡卡 木木 芽芽 笨笨 乖乖 淘淘 妮妮 贝贝 可可 米米 波波 奇奇 亮亮".split()
)
HOMES = [
    "小河边",
    "大森林里",
    "一座小山上",
    "村子旁边",
    "湖边的小木屋里",
    "一棵大树下",
    "花园里",
    "草地旁",
    "海边的小房子里",
    "山谷里",
]
PLACES = ["公园", "森林", "小河边", "草地", "山坡", "湖边", "果园", "小桥边", "花园", "市场"]
TRAITS = ["可爱", "善良", "好奇", "害羞", "快乐", "勇敢", "聪明", "调皮", "安静", "热心"]
TREASURES = ["球", "风筝", "帽子", "围巾", "铃铛", "贝壳", "鼓", "丝带", "玩具熊", "灯笼", "镜子", "小船"]
FOOD = ["苹果", "蛋糕", "面包", "饼干", "蜂蜜", "坚果", "包子", "桃子", "西瓜", "胡萝卜"]
FEARS = ["黑", "打雷", "水", "高", "大风", "陌生人"]
PLANTS = ["向日葵", "玫瑰", "南瓜", "苹果树", "草莓", "桃树", "小白花", "豆苗"]
WEATHERS = ["晴朗", "温暖", "凉爽", "美好", "有风"]
BUILDS = ["小船", "树屋", "小桥", "木房子", "秋千", "小车"]

PLOTS = {
    "丢了{treasure}": [
        "{hero}有一个{colour}色的{treasure}，{他非常喜欢它|这是他最喜欢的东西}。",
        "{day}，{treasure}不见了。",
        "{hero}{找遍了家里|把床下和门后都找了一遍}，可是{没有找到|哪里都没有}。",
        "?他难过得快要哭了。",
        "他去请{friend_kind}{friend}帮忙。",
        "“{别难过|别着急}，”{friend}说，“我们一起{去找|找}。”",
        "他们来到{place}，{到处找|找了很久}。",
        "?他们看了每一块石头和每一片叶子。",
        "忽然，{friend}看见{草丛里|树下|石头后面}有一个{colour}色的东西。",
        "原来就是那个{treasure}！",
        "{hero}高兴地说：“{谢谢你|你真是我的好朋友}！”",
        "{从那天起，他们常常一起玩它|后来，他再也没有弄丢它}。",
    ],
    "怕{fear}": [
        "{hero}很怕{fear}。",
        "?他不想让别人知道。",
        "{day}，他在{place}听见有人{在哭|喊救命}。",
        "原来是{friend_kind}{friend}，他{迷路了|摔倒了|的脚受伤了}。",
        "{hero}的心跳得很快，{可是他想帮忙|但是他没有跑开}。",
        "“{我要勇敢|我能行}，”他对自己说。",
        "他一步一步走过去，扶起了{friend}。",
        "他们一起{慢慢地|}走回家。",
        "“你真勇敢！”{friend}说。",
        "{hero}笑了，{他不再那么怕{fear}了|他觉得自己长大了}。",
    ],
    "分享": [
        "{day}，{hero}有{很多|一篮子}{food}。",
        "{他想一个人吃完|他不想分给别人}。",
        "这时，{friend_kind}{friend}走过来说：“我{好饿|一天没吃东西了}。”",
        "{hero}看了看{food}，想了一会儿。",
        "“{来，我们一起吃吧|给你一半}，”他说。",
        "他们坐在{树下|草地上|河边}，{一边吃一边说笑|吃得很开心}。",
        "?太阳慢慢下山了。",
        "“和朋友一起吃，{food}更好吃，”{hero}说。",
        "第二天，{friend}也带来了{food2}，和{hero}一起分享。",
    ],
    "做{build}": [
        "{day}，{hero}想做一个{build}。",
        "他找来木头，{做了一个上午|忙了一整天}。",
        "可是{build}{坏了一次又一次|总是做不好}。",
        "“我{做不好|不做了}，”他{叹了一口气说|难过地说}。",
        "{friend_kind}{friend}走过来说：“{我们一起做吧|两个人更有办法}。”",
        "{friend}扶着木头，{hero}用绳子把它们绑好。",
        "?他们失败了几次，可是没有放弃。",
        "{到了晚上|过了几个小时}，{build}终于做好了。",
        "{大家都说它很漂亮|这是最好的{build}}。",
        "{hero}{高兴得跳了起来|非常自豪}，他们天天一起玩。",
    ],
    "救人": [
        "{day}，{hero}在{place}{散步|玩}。",
        "忽然，他听见有人喊：“{救命|快来帮帮我}！”",
        "原来{friend_kind}{friend}掉进了{一个大坑|水里}。",
        "?{hero}很害怕，可是他没有走开。",
        "“{别怕|等一等}，我来帮你！”{hero}说。",
        "他找来一根{长长的树枝|结实的绳子}，让{friend}抓住。",
        "{hero}用力拉，{慢慢地|一点一点地}把{friend}拉了上来。",
        "“{谢谢你救了我|太谢谢你了}，”{friend}说。",
        "“{不用谢，朋友就应该互相帮助|我们是好朋友}，”{hero}说。",
        "他们高高兴兴地回家了。",
    ],
    "新朋友": [
        "{hero}常常一个人玩，{他很想有一个朋友|觉得有点孤单}。",
        "{day}，{friend_kind}{friend}搬到了附近。",
        "{friend}很害羞，{躲在树后面|一句话也不说}。",
        "{hero}走过去说：“你好！{你想和我一起玩吗|你愿意做我的朋友吗}？”",
        "?过了一会儿，谁也没有说话。",
        "{friend}点点头，笑着说：“{好啊|我愿意}！”",
        "他们在{place}玩了{一个下午|很久}。",
        "?{friend}还教{hero}{唱歌|爬树|画星星}。",
        "回家的时候，{hero}说：“{明天见|明天再来玩}！”",
        "{从此以后，他们不再孤单了|他们成了最好的朋友}。",
    ],
    "说真话": [
        "{day}，{hero}在家里跑来跑去，{不小心|一下子}打破了{妈妈|奶奶|爷爷}的{花瓶|杯子|碗}。",
        "他把碎片藏在{床下|门后}，{谁也没告诉|什么也没说}。",
        "可是他{心里很难过|晚上睡不着}。",
        "?他吃不下饭，也不想玩。",
        "他问{friend_kind}{friend}：“我该怎么办？”",
        "“{说真话吧|把真话说出来}，”{friend}说，“{说了就好了|这样你会好受一些}。”",
        "{hero}回到家，说：“对不起，是我打破的。”",
        "{大家没有生气|大家笑了}，还说：“{诚实最重要|你是诚实的好孩子}。”",
        "{hero}心里{轻松多了|又高兴起来了}。",
    ],
    "下雨天": [
        "{hero}想{去{place}玩|出去玩}，可是{下雨了|雨下个不停}。",
        "“{真没意思|真无聊}，”{hero}看着窗外说。",
        "这时，{friend_kind}{friend}来敲门，{身上都湿了|手里拿着一把旧雨伞}。",
        "“我们在家里玩吧，”{friend}说。",
        "他们{用纸折小船|讲故事|用枕头搭城堡}，玩得很开心。",
        "?他们还喝了热牛奶。",
        "{过了一会儿|下午}，雨停了，天上出现了一道{漂亮的|大大的}彩虹。",
        "{hero}说：“{下雨天也很好|今天真是快乐的一天}！”",
    ],
    "生日礼物": [
        "{friend_kind}{friend}的生日快到了，{hero}想送一个礼物。",
        "可是他没有钱。",
        "?他想了一个晚上。",
        "“我自己做一个吧，”他想。",
        "他到{place}找来{colour}色的{花|石头|羽毛|贝壳}。",
        "他用一根绳子，做成了一{条项链|个花环|幅画}。",
        "生日那天，他把礼物送给{friend}。",
        "{friend}看了，高兴地说：“{真漂亮|太好了}！{这是最好的礼物|我最喜欢这个礼物}。”",
        "他们一起吃{food}，一起唱歌，一直玩到天黑。",
    ],
    "种{plant}": [
        "{day}，{hero}在{place}找到一颗小种子。",
        "他把种子种在土里，{给它浇水|每天浇水}。",
        "可是{过了好几天|一天又一天}，什么也没有长出来。",
        "“{它是不是坏了|它不会长了吧}？”{hero}说。",
        "“{别着急，再等一等|好事情需要时间}，”{friend_kind}{friend}说。",
        "{hero}每天都去看它，{下雨刮风也不停|从不忘记浇水}。",
        "{春天来了|有一天早上}，土里长出了一片绿叶。",
        "?它越长越高。",
        "最后，它长成了{一大片|漂亮的}{plant}！",
        "{hero}和{friend}都很高兴。",
    ],
    "看星星": [
        "一天晚上，{hero}睡不着。",
        "他{打开窗户|走到外面}，看着天上的星星。",
        "{friend_kind}{friend}也没有睡。",
        "“你为什么不睡觉？”{friend}问。",
        "“{我在想明天的事|我睡不着}，”{hero}说。",
        "“那我们一起数星星吧，”{friend}说。",
        "他们{躺在草地上|坐在一起}，数了起来：一、二、三、四、五。",
        "?一颗星星落下来，他们都许了一个愿望。",
        "没过多久，{hero}就睡着了。",
        "{friend}给他盖上{毯子|被子}，轻轻地说：“晚安。”",
    ],
}
OPENINGS = [
    "从前，有一{measure}{trait}的{kind}，名字叫{hero}。他住在{home}。",
    "从前，{home}住着一{measure}{trait}的{kind}，他叫{hero}。",
    "{hero}是一{measure}{trait}的{kind}，住在{home}。",
    "很久以前，有一{measure}{kind}叫{hero}，住在{home}。",
]
DAYS = ["一个{weather}的早上", "有一天", "一个{weather}的下午", "一天"]


def story(rng, kind=None, name=None, plot=None):
    """(text, kind, name, theme); kind is an Animal or None for a drawn one or a child."""
    child = kind is None and rng.random() < 0.2
    kind = kind or rng.choice(HEROES)
    name = name or rng.choice(NAMES_CHINESE if child else CHARACTER_NAMES)
    friend_kind = rng.choice([a for a in HEROES if a.name != kind.name])
    friend = rng.choice([n for n in CHARACTER_NAMES if n != name])
    theme = plot or rng.choice(list(PLOTS))
    food, food2 = rng.sample(FOOD, 2)
    slots = {
        "hero": name, "kind": "孩子" if child else kind.chinese, "measure": "个" if child else kind.measure, "friend": friend,
        "friend_kind": friend_kind.chinese, "trait": rng.choice(TRAITS), "home": rng.choice(HOMES), "place": rng.choice(PLACES),
        "treasure": rng.choice(TREASURES), "colour": rng.choice(list(COLOURS.values())), "food": food, "food2": food2,
        "fear": rng.choice(FEARS), "build": rng.choice(BUILDS), "plant": rng.choice(PLANTS), "weather": rng.choice(WEATHERS),
        "day": rng.choice(DAYS),
    }  # fmt: skip
    lines = [rng.choice(OPENINGS)]
    for line in PLOTS[theme]:
        if line.startswith("?"):
            if rng.random() < 0.5:
                continue
            line = line[1:]
        lines.append(line)
    text = expand(rng, "".join(lines), **slots)
    return text, slots["kind"], name, expand(rng, theme, **slots)
