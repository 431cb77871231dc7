"""Words and facts, English beside Chinese."""

from collections import namedtuple

# weight: of a typical adult in grams, for comparing sizes.
Animal = namedtuple("Animal", "name plural chinese measure legs weight")
ANIMALS = [
    Animal(*row)
    for row in [
        ("ant", "ants", "蚂蚁", "只", 6, 0.004),
        ("bee", "bees", "蜜蜂", "只", 6, 0.1),
        ("butterfly", "butterflies", "蝴蝶", "只", 6, 0.4),
        ("beetle", "beetles", "甲虫", "只", 6, 1),
        ("ladybird", "ladybirds", "瓢虫", "只", 6, 0.02),
        ("grasshopper", "grasshoppers", "蚱蜢", "只", 6, 2),
        ("mosquito", "mosquitoes", "蚊子", "只", 6, 0.002),
        ("spider", "spiders", "蜘蛛", "只", 8, 0.5),
        ("scorpion", "scorpions", "蝎子", "只", 8, 20),
        ("crab", "crabs", "螃蟹", "只", 10, 400),
        ("lobster", "lobsters", "龙虾", "只", 10, 1500),
        ("hen", "hens", "母鸡", "只", 2, 2500),
        ("duck", "ducks", "鸭子", "只", 2, 1200),
        ("goose", "geese", "鹅", "只", 2, 5000),
        ("owl", "owls", "猫头鹰", "只", 2, 900),
        ("parrot", "parrots", "鹦鹉", "只", 2, 400),
        ("penguin", "penguins", "企鹅", "只", 2, 25000),
        ("sparrow", "sparrows", "麻雀", "只", 2, 30),
        ("eagle", "eagles", "老鹰", "只", 2, 5000),
        ("swan", "swans", "天鹅", "只", 2, 11000),
        ("ostrich", "ostriches", "鸵鸟", "只", 2, 120000),
        ("cat", "cats", "猫", "只", 4, 4500),
        ("dog", "dogs", "狗", "只", 4, 20000),
        ("cow", "cows", "牛", "头", 4, 650000),
        ("horse", "horses", "马", "匹", 4, 500000),
        ("sheep", "sheep", "绵羊", "只", 4, 70000),
        ("goat", "goats", "山羊", "只", 4, 60000),
        ("pig", "pigs", "猪", "头", 4, 200000),
        ("rabbit", "rabbits", "兔子", "只", 4, 2000),
        ("mouse", "mice", "老鼠", "只", 4, 20),
        ("fox", "foxes", "狐狸", "只", 4, 7000),
        ("wolf", "wolves", "狼", "只", 4, 40000),
        ("bear", "bears", "熊", "只", 4, 250000),
        ("lion", "lions", "狮子", "头", 4, 190000),
        ("tiger", "tigers", "老虎", "只", 4, 220000),
        ("elephant", "elephants", "大象", "头", 4, 5000000),
        ("giraffe", "giraffes", "长颈鹿", "只", 4, 1100000),
        ("camel", "camels", "骆驼", "头", 4, 500000),
        ("deer", "deer", "鹿", "只", 4, 90000),
        ("frog", "frogs", "青蛙", "只", 4, 50),
        ("lizard", "lizards", "蜥蜴", "只", 4, 60),
        ("turtle", "turtles", "乌龟", "只", 4, 3000),
        ("crocodile", "crocodiles", "鳄鱼", "条", 4, 400000),
        ("hedgehog", "hedgehogs", "刺猬", "只", 4, 800),
        ("squirrel", "squirrels", "松鼠", "只", 4, 350),
        ("panda", "pandas", "熊猫", "只", 4, 100000),
        ("zebra", "zebras", "斑马", "匹", 4, 350000),
        ("donkey", "donkeys", "驴", "头", 4, 200000),
        ("snake", "snakes", "蛇", "条", 0, 1000),
        ("fish", "fish", "鱼", "条", 0, 500),
        ("worm", "worms", "蚯蚓", "条", 0, 3),
        ("whale", "whales", "鲸鱼", "头", 0, 50000000),
        ("dolphin", "dolphins", "海豚", "只", 0, 150000),
        ("shark", "sharks", "鲨鱼", "条", 0, 800000),
    ]
]

# Animals that can be the hero of a story.
HEROES = [
    a
    for a in ANIMALS
    if a.name
    in "ant bee butterfly beetle hen duck goose owl parrot penguin sparrow swan cat dog cow horse sheep goat pig rabbit mouse "
    "fox wolf bear lion tiger elephant giraffe deer frog turtle hedgehog squirrel panda zebra donkey".split()
]

COLOURS = {
    "red": "红", "blue": "蓝", "green": "绿", "yellow": "黄", "white": "白", "black": "黑", "brown": "棕", "pink": "粉",
    "purple": "紫", "orange": "橙", "grey": "灰",
}  # fmt: skip

# Things of one typical colour.
TYPICAL_COLOURS = [
    ("a banana", "香蕉", "yellow"), ("a lemon", "柠檬", "yellow"), ("a tomato", "西红柿", "red"),
    ("a strawberry", "草莓", "red"), ("a cherry", "樱桃", "red"), ("grass", "草", "green"), ("a cucumber", "黄瓜", "green"),
    ("a frog", "青蛙", "green"), ("a crow", "乌鸦", "black"), ("coal", "煤", "black"), ("snow", "雪", "white"),
    ("milk", "牛奶", "white"), ("a swan", "天鹅", "white"), ("the sky", "天空", "blue"),
    ("the sea", "大海", "blue"), ("chocolate", "巧克力", "brown"), ("a carrot", "胡萝卜", "orange"),
    ("a pumpkin", "南瓜", "orange"), ("an elephant", "大象", "grey"), ("a mouse", "老鼠", "grey"), ("a leaf", "树叶", "green"),
    ("a flamingo", "火烈鸟", "pink"), ("a grape", "葡萄", "purple"), ("an aubergine", "茄子", "purple"),
    ("the sun", "太阳", "yellow"), ("salt", "盐", "white"), ("rice", "米饭", "white"), ("a bear", "熊", "brown"),
]  # fmt: skip

MIXED_COLOURS = [
    ("red", "yellow", "orange"), ("blue", "yellow", "green"), ("red", "blue", "purple"), ("red", "white", "pink"),
    ("black", "white", "grey"),
]  # fmt: skip

Thing = namedtuple("Thing", "name plural chinese measure")
THINGS = [
    Thing(*row)
    for row in [
        ("ball", "balls", "球", "个"), ("kite", "kites", "风筝", "只"), ("hat", "hats", "帽子", "顶"),
        ("cup", "cups", "杯子", "个"), ("book", "books", "书", "本"), ("bag", "bags", "包", "个"),
        ("coat", "coats", "外套", "件"), ("shirt", "shirts", "衬衫", "件"), ("umbrella", "umbrellas", "雨伞", "把"),
        ("chair", "chairs", "椅子", "把"), ("car", "cars", "汽车", "辆"), ("bicycle", "bicycles", "自行车", "辆"),
        ("boat", "boats", "船", "条"), ("balloon", "balloons", "气球", "个"), ("pencil", "pencils", "铅笔", "支"),
        ("box", "boxes", "盒子", "个"), ("scarf", "scarves", "围巾", "条"), ("dress", "dresses", "裙子", "条"),
        ("flower", "flowers", "花", "朵"), ("lamp", "lamps", "灯", "盏"), ("bowl", "bowls", "碗", "个"),
        ("spoon", "spoons", "勺子", "把"), ("key", "keys", "钥匙", "把"), ("drum", "drums", "鼓", "面"),
        ("bell", "bells", "铃铛", "个"), ("ribbon", "ribbons", "丝带", "条"), ("basket", "baskets", "篮子", "个"),
        ("stone", "stones", "石头", "块"), ("shell", "shells", "贝壳", "个"), ("table", "tables", "桌子", "张"),
        ("house", "houses", "房子", "座"), ("door", "doors", "门", "扇"), ("bed", "beds", "床", "张"),
        ("feather", "feathers", "羽毛", "根"), ("button", "buttons", "纽扣", "个"), ("bottle", "bottles", "瓶子", "个"),
        ("blanket", "blankets", "毯子", "条"), ("candle", "candles", "蜡烛", "根"), ("toy train", "toy trains", "玩具火车", "列"),
        ("teddy bear", "teddy bears", "玩具熊", "个"),
    ]
]  # fmt: skip

FOODS = [
    Thing(*row)
    for row in [
        ("apple", "apples", "苹果", "个"), ("pear", "pears", "梨", "个"), ("banana", "bananas", "香蕉", "根"),
        ("orange", "oranges", "橙子", "个"), ("peach", "peaches", "桃子", "个"), ("cherry", "cherries", "樱桃", "颗"),
        ("carrot", "carrots", "胡萝卜", "根"), ("egg", "eggs", "鸡蛋", "个"), ("cake", "cakes", "蛋糕", "块"),
        ("cookie", "cookies", "饼干", "块"), ("nut", "nuts", "坚果", "颗"), ("plum", "plums", "李子", "个"),
        ("strawberry", "strawberries", "草莓", "颗"), ("potato", "potatoes", "土豆", "个"), ("sweet", "sweets", "糖果", "颗"),
        ("bun", "buns", "包子", "个"),
    ]
]  # fmt: skip

GROUPS = {
    "animal": [("cat", "猫"), ("dog", "狗"), ("horse", "马"), ("rabbit", "兔子"), ("cow", "牛"), ("tiger", "老虎"),
               ("duck", "鸭子"), ("mouse", "老鼠"), ("bear", "熊"), ("fox", "狐狸"), ("frog", "青蛙"), ("sheep", "绵羊")],
    "fruit": [("apple", "苹果"), ("pear", "梨"), ("banana", "香蕉"), ("peach", "桃子"), ("cherry", "樱桃"), ("plum", "李子"),
              ("strawberry", "草莓"), ("lemon", "柠檬"), ("grape", "葡萄"), ("mango", "芒果")],
    "piece of clothing": [("hat", "帽子"), ("coat", "外套"), ("shirt", "衬衫"), ("scarf", "围巾"), ("dress", "裙子"),
                          ("sock", "袜子"), ("shoe", "鞋"), ("glove", "手套")],
    "tool": [("hammer", "锤子"), ("saw", "锯子"), ("shovel", "铲子"), ("axe", "斧头"), ("drill", "钻头"),
             ("screwdriver", "螺丝刀")],
    "vehicle": [("car", "汽车"), ("bus", "公共汽车"), ("bicycle", "自行车"), ("train", "火车"), ("lorry", "卡车"),
                ("tractor", "拖拉机"), ("plane", "飞机")],
    "piece of furniture": [("table", "桌子"), ("chair", "椅子"), ("bed", "床"), ("sofa", "沙发"), ("wardrobe", "衣柜"),
                           ("bookcase", "书柜")],
}  # fmt: skip
GROUPS_CHINESE = {
    "animal": "动物", "fruit": "水果", "piece of clothing": "衣物", "tool": "工具", "vehicle": "交通工具",
    "piece of furniture": "家具",
}  # fmt: skip

# first, second, Chinese of both; the nouns that both go with are in NOUNS_WITH.
OPPOSITES = [
    ("big", "small", "大", "小"), ("hot", "cold", "热", "冷"), ("long", "short", "长", "短"), ("new", "old", "新", "旧"),
    ("fast", "slow", "快", "慢"), ("full", "empty", "满", "空"), ("open", "closed", "开", "关"), ("clean", "dirty", "干净", "脏"),
    ("light", "heavy", "轻", "重"), ("dry", "wet", "干", "湿"), ("thick", "thin", "厚", "薄"), ("wide", "narrow", "宽", "窄"),
    ("expensive", "cheap", "贵", "便宜"), ("soft", "hard", "软", "硬"), ("beautiful", "ugly", "美", "丑"),
    ("quiet", "loud", "安静", "吵闹"), ("strong", "weak", "强", "弱"), ("easy", "difficult", "容易", "困难"),
    ("happy", "sad", "高兴", "难过"), ("rich", "poor", "富", "穷"), ("young", "old", "年轻", "年老"),
    ("early", "late", "早", "晚"), ("bright", "dark", "亮", "暗"), ("high", "low", "高", "低"), ("good", "bad", "好", "坏"),
    ("near", "far", "近", "远"), ("deep", "shallow", "深", "浅"), ("sharp", "blunt", "锋利", "钝"),
    ("left", "right", "左", "右"), ("up", "down", "上", "下"), ("inside", "outside", "里面", "外面"),
    ("day", "night", "白天", "黑夜"), ("begin", "end", "开始", "结束"), ("come", "go", "来", "去"),
    ("buy", "sell", "买", "卖"), ("push", "pull", "推", "拉"), ("win", "lose", "赢", "输"), ("laugh", "cry", "笑", "哭"),
    ("front", "back", "前", "后"), ("always", "never", "总是", "从不"), ("true", "false", "真", "假"),
    ("brave", "cowardly", "勇敢", "胆小"), ("tall", "short", "高大", "矮小"), ("awake", "asleep", "醒着", "睡着"),
]  # fmt: skip
# Words whose opposite depends on what they are said of are asked about in one direction only.
ONE_DIRECTION = {("new", "old"), ("young", "old"), ("tall", "short"), ("light", "heavy"), ("high", "low")}

NOUNS_WITH = {
    "big": "house box ball car table door dog fish boat garden town suitcase hotel window stone pillow meal",
    "hot": "day soup bath drink summer night meal room evening", "long": "road rope story river ribbon scarf journey dream bridge song",
    "new": "car hat book bicycle coat chair lamp towel jumper suitcase ring bridge pillow bucket",
    "fast": "car horse boat train runner song game journey", "full": "box cup bag basket bottle bowl bucket suitcase bath",
    "clean": "shirt cup floor window plate room towel jumper street bath", "light": "box bag stone chair coat suitcase gate sword",
    "dry": "towel coat street leaf blanket summer floor wall", "thick": "book wall blanket rope jumper towel ribbon",
    "wide": "river road door bridge street hole gate", "expensive": "car coat ring hotel house meal drink picture journey",
    "soft": "bed blanket pillow chair towel jumper", "beautiful": "picture garden house song ring lake town star plate",
    "quiet": "street room child evening hotel town night", "strong": "horse wind man rope soldier lion king",
    "easy": "question game lesson book journey answer", "happy": "child song dog day man woman king family",
    "rich": "man king woman town family", "bright": "room lamp star street day window", "high": "wall tower table hill price bridge",
    "good": "idea book dream answer meal soup drink picture story", "deep": "river lake hole sea bath bowl",
    "sharp": "knife pencil sword", "brave": "knight soldier lion man woman child", "open": "door window box gate book suitcase",
}  # fmt: skip
NOUNS_CHINESE = {
    "big": "房子 盒子 球 汽车 桌子 门 狗 鱼 船 花园 石头 枕头 箱子 湖 洞", "hot": "天气 汤 饮料 夜晚 饭菜 房间",
    "long": "路 绳子 故事 河 丝带 围巾 旅程 梦 桥", "new": "汽车 帽子 书 自行车 外套 椅子 灯 毛衣 箱子 枕头 戒指",
    "clean": "衬衫 杯子 地板 窗户 盘子 房间 毯子 毛衣 街道", "thick": "书 墙 毯子 毛衣 绳子 外套",
    "wide": "河 路 门 桥 街道 窗户", "soft": "床 毯子 枕头 椅子 毛衣", "easy": "问题 游戏 功课 工作", "deep": "河 湖 洞 海",
    "good": "主意 书 梦 答案 汤 天气 工作 故事", "light": "盒子 包 石头 箱子 椅子", "brave": "骑士 士兵 孩子 狗",
    "expensive": "汽车 外套 戒指 房子 饮料 饭菜 盘子",
}  # fmt: skip

COUNTRIES = [
    ("France", "法国", "Paris", "巴黎"), ("Italy", "意大利", "Rome", "罗马"), ("Spain", "西班牙", "Madrid", "马德里"),
    ("Germany", "德国", "Berlin", "柏林"), ("England", "英国", "London", "伦敦"), ("China", "中国", "Beijing", "北京"),
    ("Japan", "日本", "Tokyo", "东京"), ("Russia", "俄罗斯", "Moscow", "莫斯科"), ("Egypt", "埃及", "Cairo", "开罗"),
    ("Greece", "希腊", "Athens", "雅典"), ("Portugal", "葡萄牙", "Lisbon", "里斯本"), ("Austria", "奥地利", "Vienna", "维也纳"),
    ("Poland", "波兰", "Warsaw", "华沙"), ("Hungary", "匈牙利", "Budapest", "布达佩斯"), ("Sweden", "瑞典", "Stockholm", "斯德哥尔摩"),
    ("Norway", "挪威", "Oslo", "奥斯陆"), ("Denmark", "丹麦", "Copenhagen", "哥本哈根"), ("Finland", "芬兰", "Helsinki", "赫尔辛基"),
    ("Ireland", "爱尔兰", "Dublin", "都柏林"), ("Belgium", "比利时", "Brussels", "布鲁塞尔"), ("Turkey", "土耳其", "Ankara", "安卡拉"),
    ("India", "印度", "New Delhi", "新德里"), ("Thailand", "泰国", "Bangkok", "曼谷"), ("Vietnam", "越南", "Hanoi", "河内"),
    ("South Korea", "韩国", "Seoul", "首尔"), ("Mongolia", "蒙古", "Ulaanbaatar", "乌兰巴托"), ("Kenya", "肯尼亚", "Nairobi", "内罗毕"),
    ("Peru", "秘鲁", "Lima", "利马"), ("Chile", "智利", "Santiago", "圣地亚哥"), ("Cuba", "古巴", "Havana", "哈瓦那"),
    ("Canada", "加拿大", "Ottawa", "渥太华"), ("Brazil", "巴西", "Brasilia", "巴西利亚"),
    ("Argentina", "阿根廷", "Buenos Aires", "布宜诺斯艾利斯"), ("Mexico", "墨西哥", "Mexico City", "墨西哥城"),
    ("Australia", "澳大利亚", "Canberra", "堪培拉"), ("Nepal", "尼泊尔", "Kathmandu", "加德满都"),
    ("Iran", "伊朗", "Tehran", "德黑兰"), ("Iraq", "伊拉克", "Baghdad", "巴格达"), ("Ukraine", "乌克兰", "Kyiv", "基辅"),
    ("Romania", "罗马尼亚", "Bucharest", "布加勒斯特"), ("Bulgaria", "保加利亚", "Sofia", "索菲亚"),
    ("Iceland", "冰岛", "Reykjavik", "雷克雅未克"),
]  # fmt: skip

DAYS = [
    ("Monday", "星期一"), ("Tuesday", "星期二"), ("Wednesday", "星期三"), ("Thursday", "星期四"), ("Friday", "星期五"),
    ("Saturday", "星期六"), ("Sunday", "星期日"),
]  # fmt: skip
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
]  # fmt: skip
MONTHS_CHINESE = ["一月", "二月", "三月", "四月", "五月", "六月", "七月", "八月", "九月", "十月", "十一月", "十二月"]

NUMBERS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
]  # fmt: skip
NUMBERS_CHINESE = "零 一 二 三 四 五 六 七 八 九 十 十一 十二 十三 十四 十五 十六 十七 十八 十九 二十".split()


def counted_chinese(n):
    """The number before a measure word: 2 is 两."""
    return "两" if n == 2 else NUMBERS_CHINESE[n]


# name, pronoun, possessive
NAMES = [
    (n, "she", "her") for n in "Anna Mia Lily Emma Nora Ella Ruby Grace Ivy Zoe Alice Clara Rosa Sara Maya".split()
] + [(n, "he", "his") for n in "Ben Tom Leo Sam Jack Max Finn Oscar Hugo Noah Lucas Peter Felix David Paul".split()]
NAMES_CHINESE = (
    "小明 小红 小华 小丽 小刚 小芳 小雨 小军 小美 小强 小梅 小亮 乐乐 天天 丁丁 朵朵 圆圆 安安 东东 宁宁".split()
)
PET_NAMES = "Rex Coco Lucky Snowy Biscuit Pepper Ginger Shadow Bella Rocky Daisy Oreo Misty Simba Toffee Pebble".split()
PET_NAMES_CHINESE = "旺旺 豆豆 球球 毛毛 花花 小黑 小白 小黄 皮皮 点点 果果 糖糖".split()

# Things that somebody does, for translation.
ACTIONS = [
    ("is sleeping", "在睡觉"), ("is eating", "在吃东西"), ("is drinking water", "在喝水"), ("is running", "在跑步"),
    ("is singing", "在唱歌"), ("is playing", "在玩"), ("is swimming", "在游泳"), ("is waiting", "在等"), ("is dancing", "在跳舞"),
    ("is looking at the moon", "在看月亮"), ("is coming home", "在回家"), ("is very happy", "很高兴"), ("is tired", "累了"),
    ("is hungry", "饿了"), ("is very clever", "很聪明"), ("is in the garden", "在花园里"), ("is under the table", "在桌子下面"),
    ("is behind the door", "在门后面"), ("is not here", "不在这里"),
]  # fmt: skip
PEOPLE = [
    ("my mother", "我妈妈"), ("my father", "我爸爸"), ("my friend", "我的朋友"), ("the teacher", "老师"), ("the child", "孩子"),
    ("my brother", "我哥哥"), ("my sister", "我姐姐"), ("the old man", "老人"), ("the doctor", "医生"), ("the king", "国王"),
]  # fmt: skip

SOUNDS = [
    ("cat", "猫", "meow", "喵喵"), ("dog", "狗", "woof", "汪汪"), ("cow", "牛", "moo", "哞哞"), ("sheep", "羊", "baa", "咩咩"),
    ("duck", "鸭子", "quack", "嘎嘎"), ("pig", "猪", "oink", "哼哼"), ("bee", "蜜蜂", "buzz", "嗡嗡"), ("frog", "青蛙", "croak", "呱呱"),
    ("snake", "蛇", "hiss", "嘶嘶"), ("mouse", "老鼠", "squeak", "吱吱"), ("hen", "母鸡", "cluck", "咯咯"),
]  # fmt: skip
YOUNG = [
    ("cat", "a kitten"), ("dog", "a puppy"), ("cow", "a calf"), ("sheep", "a lamb"), ("duck", "a duckling"), ("pig", "a piglet"),
    ("horse", "a foal"), ("hen", "a chick"), ("bear", "a cub"), ("goat", "a kid"), ("swan", "a cygnet"), ("frog", "a tadpole"),
    ("deer", "a fawn"), ("goose", "a gosling"),
]  # fmt: skip
HOMES = [
    ("a fish", "鱼", "in the water", "水里"), ("a bird", "鸟", "in a nest", "鸟巢里"), ("a bee", "蜜蜂", "in a hive", "蜂巢里"),
    ("a spider", "蜘蛛", "in a web", "蜘蛛网上"), ("a camel", "骆驼", "in the desert", "沙漠里"), ("a whale", "鲸鱼", "in the sea", "大海里"),
    ("a rabbit", "兔子", "in a burrow", "地洞里"), ("a monkey", "猴子", "in the forest", "森林里"), ("a cow", "牛", "on a farm", "农场里"),
    ("a bear", "熊", "in a cave", "山洞里"), ("a panda", "熊猫", "in a bamboo forest", "竹林里"),
]  # fmt: skip
