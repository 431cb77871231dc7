"""Short stories in English: a plot is a list of sentences with choices, filled with characters, places and things."""

from .grammar import article, capitalized, expand
from .words import COLOURS, HEROES, NAMES

CHARACTER_NAMES = [
    (n, "he") for n in "Pip Bruno Otto Milo Barney Toby Rusty Jasper Monty Chester Archie Basil Dexter Oliver Rufus Theo".split()
] + [
    (n, "she") for n in "Tilly Poppy Bella Hazel Luna Molly Nelly Olive Penny Rosie Stella Willow Dotty Flora Juno Minnie".split()
]  # fmt: skip
OTHERS = {"he": ("him", "his"), "she": ("her", "her")}

HOMES = ["in a small house by the river", "in a green forest", "on a quiet farm", "near a big lake", "at the edge of a village",
         "under an old oak tree", "on a hill with many flowers", "behind a white fence", "in a cosy home near the woods",
         "in a little valley", "close to the sea", "next to a windmill"]  # fmt: skip
PLACES = ["the park", "the forest", "the meadow", "the river", "the old bridge", "the market", "the pond", "the hill", "the garden",
          "the lake", "the village square", "the windmill", "the orchard"]  # fmt: skip
TRAITS = [
    "kind",
    "curious",
    "shy",
    "cheerful",
    "brave",
    "clever",
    "gentle",
    "quiet",
    "playful",
    "friendly",
    "young",
    "little",
]
TREASURES = ["ball", "kite", "hat", "scarf", "bell", "shell", "button", "drum", "ribbon", "teddy bear", "lantern", "whistle", "spoon",
             "ring", "toy boat", "feather", "mirror", "key"]  # fmt: skip
FOOD = [
    "apple pie",
    "bread",
    "cake",
    "soup",
    "honey",
    "berries",
    "pancakes",
    "cookies",
    "cheese",
    "nuts",
    "plums",
    "porridge",
]
FEARS = ["the dark", "thunder", "deep water", "loud noises", "high places", "strangers", "the wind"]
PLANTS = ["sunflower", "rose", "bean", "pumpkin", "tulip", "carrot", "apple tree", "strawberry", "daisy", "cherry tree"]
WEATHERS = ["sunny", "warm", "windy", "bright", "cool", "lovely"]
DAYS = ["One {weather} morning", "One {weather} day", "One {weather} afternoon", "One day"]

# Every plot begins after the sentence that introduces {hero}. {friend} is another character with {friend_kind}; {He}, {he},
# {him}, {his} are the hero's, {fhe}, {fhim}, {fhis} the friend's. A line that begins with ? is left out half of the time.
PLOTS = {
    "a lost {treasure}": [
        "{hero} had a {colour} {treasure} that {he} loved {very much|more than anything else}.",
        "{day}, the {treasure} was gone.",
        "{hero} looked {under the bed|behind the door|in every corner}, but it was not there.",
        "? {He} felt so sad that {he} almost cried.",
        "{He} asked {friend} the {friend_kind} for help.",
        '"{Do not worry|Do not be sad}," said {friend}. "We will find it together."',
        "They walked to {place} and {looked everywhere|searched high and low}.",
        "? They looked behind every stone and under every leaf.",
        "At last {friend} saw something {colour} {in the tall grass|under a bush|between two stones}.",
        "It was the {treasure}!",
        '{hero} {hugged|thanked} {friend} and {said|cried}, "{Thank you!|You are a true friend!}"',
        "{From that day on, they played with it together|After that, {hero} took good care of it}.",
    ],
    "being afraid of {fear}": [
        "{hero} was afraid of {fear}.",
        "? {He} did not like to talk about it.",
        "{day}, {hero} heard a small voice near {place}.",
        "It was {friend} the {friend_kind}, who {was stuck in the mud|had lost the way home|had hurt a foot}.",
        "{hero} had to {go past|think of} {fear}, and {his} heart beat {fast|like a drum}.",
        '"{I can do this|I must be brave}," {he} said to {himself}.',
        "{Slowly|Step by step}, {he} went on until {he} reached {friend}.",
        "{hero} helped {friend} and they walked home together.",
        '"You were very brave," said {friend}.',
        "{hero} smiled. {Fear was not gone, but it was much smaller now|{He} was not so afraid of {fear} any more}.",
    ],
    "sharing": [
        "{day}, {hero} had {some|a lot of} {food} for lunch.",
        "The {food} {smelled wonderful|tasted so good} that {hero} wanted to eat {it all|everything} alone.",
        "Then {friend} the {friend_kind} came along and said, \"I am {so|very} hungry.\"",
        "{hero} looked at the {food} and {thought for a while|said nothing at first}.",
        "? It was hard to give something away.",
        '"Here, {take half of it|let us share}," said {hero} at last.',
        "They sat {down under a tree|down by the water|in the soft grass} and ate together.",
        "? They talked and laughed until the sun went down.",
        '"{The food|Everything} tastes better with a friend," said {hero}.',
        "{friend} nodded, and the next day {fhe} brought {some|a basket of} {food2} to share.",
    ],
    "building something": [
        "{day}, {hero} wanted to build a {build}.",
        "{He} {found|collected} some wood and {worked|tried} all {morning|day}.",
        "But the {build} {fell apart|broke} {again and again|as soon as it was done}.",
        '"I will never {finish it|do it right}," {hero} said {sadly|with a sigh}.',
        "{friend} the {friend_kind} {came by and|was watching and} said, \"{Let us try together|Two can do more than one}.\"",
        "{friend} held the wood and {hero} tied it with {a long rope|strong string}.",
        "? They made mistakes, but they did not give up.",
        "{When evening came|After some hours}, the {build} was ready.",
        "It was the {best|finest} {build} that anyone had seen.",
        "{hero} {was very proud|smiled from ear to ear}, and they {used it|played with it} every day.",
    ],
    "a rescue": [
        "{day}, {hero} was {walking|playing} near {place}.",
        "Suddenly {he} heard someone {call|cry} for help.",
        "{friend} the {friend_kind} had fallen into a {deep hole|cold stream} and could not get out.",
        "? {hero} was frightened, but {he} did not run away.",
        '"{Hold on|Wait}! I will help you," {shouted|called} {hero}.',
        "{He} {found|looked for} a {long branch|strong rope} and held it {out to|down for} {friend}.",
        "{hero} pulled {with all {his} strength|and pulled}, and {slowly|little by little} {friend} came out.",
        "? Both of them were wet and tired.",
        '"You saved me," said {friend}. "{How can I thank you?|I will never forget this.}"',
        '"{Just be my friend|That is what friends are for}," said {hero}, and they went home happily.',
    ],
    "a new friend": [
        "{hero} often played alone {because {he} was new there|and wished for a friend}.",
        "{day}, a {friend_kind} named {friend} {came to live nearby|moved into the house next door}.",
        "{friend} was {very shy|quiet} and {hid behind a tree|did not say a word}.",
        "{hero} {went over|walked up} slowly and said, \"Hello! {Do you want to play with me?|Would you like to see my {treasure}?}\"",
        "? For a moment nobody said anything.",
        "Then {friend} {smiled|nodded} and said, \"Yes, {please|I would like that}.\"",
        "They {played|ran} {in the sun|around the garden} {all afternoon|until it got dark}.",
        "? {friend} showed {hero} how to {whistle|climb a tree|draw a star}.",
        "{When it was time to go home|In the evening}, {hero} said, \"{See you tomorrow!|Come back soon!}\"",
        "{From then on, they were never lonely again|Now both of them had a friend}.",
    ],
    "telling the truth": [
        "{day}, {hero} was {playing|running} in the kitchen and {bumped into|hit} the table.",
        "{Grandmother|Mother|Father}'s {colour} {vase|cup|bowl} fell down and broke.",
        "{hero} {hid the pieces|put the pieces} under the {rug|bed} and told nobody.",
        "But {all day long|that night} {he} {felt bad|could not think of anything else}.",
        "? {He} could not eat and {he} could not play.",
        "{hero} asked {friend} the {friend_kind} what to do.",
        '"{Tell the truth|Just say what happened}," said {friend}. "{You will feel better|It is the best way}."',
        "So {hero} went home and {told everything|said, \"I broke it. I am sorry\"}.",
        "{At first it was quiet|There was a long silence}. Then {hero} got a {warm|big} hug.",
        '"{Thank you for being honest|Being honest is more important than a thing that broke}," was the answer.',
        "{hero} felt {light and happy|much better} again.",
    ],
    "a rainy day": [
        "{hero} wanted to {play outside|go to {place}}, but it {was raining|rained and rained}.",
        '"{What a boring day|This is no fun}," said {hero}, looking out of the window.',
        "Then {friend} the {friend_kind} knocked at the door, {wet from head to toe|with an old umbrella}.",
        '"{Let us play inside|I know a game}," said {friend}.',
        "They {built a castle out of pillows|made a boat out of paper|told each other stories} and {laughed a lot|forgot the rain}.",
        "? They drank warm milk with honey.",
        "{After a while|In the afternoon} the rain stopped, and {they saw|there was} a {big|beautiful} rainbow over {place}.",
        "{They ran outside and jumped into every puddle|They went out and counted its colours}.",
        "{hero} said, \"{Rainy days are not so bad|This was the best day} {with a friend|after all}.\"",
    ],
    "a birthday present": [
        "Soon it was the birthday of {friend} the {friend_kind}, and {hero} wanted to give {fhim} {a present|something special}.",
        "But {hero} had no money {to buy anything|at all}.",
        "? {He} thought about it all night.",
        '"I will make {something|a present} myself," {he} {said|decided}.',
        "{He} went to {place} and {looked for|found} {colour} {flowers|stones|feathers|shells}.",
        "With {some string|a little glue} and a lot of {patience|love}, {he} made a {necklace|crown|picture}.",
        "On the birthday {hero} was {nervous|excited} and gave it to {friend}.",
        "{friend} opened the {box|paper} and {fhis} eyes {shone|grew wide}.",
        '"{This is the best present of all|How beautiful}," said {friend}, "because you made it for me."',
        "Then they ate {food} and danced {until the stars came out|the whole evening}.",
    ],
    "a race": [
        "{friend} the {friend_kind} was very fast and {liked to boast|told everyone about it}.",
        '"{Nobody|No one} can beat me," said {friend} {every day|again and again}.',
        '{day}, {hero} said, "{Let us race to {place}|I will race you}."',
        "Everybody laughed, {because {hero} was slow|but {hero} did not mind}.",
        "The race began, and {friend} ran {ahead|off like the wind}.",
        "{After a while|Halfway there} {fhe} {sat down to rest|stopped to eat some {food}}, {sure|certain} that {fhe} would win.",
        "{hero} {walked on|kept going}, step by step, and did not stop.",
        "When {friend} {ran on|looked up} at last, it was too late.",
        "{hero} had won!",
        '"{Well done|You were better}," said {friend}. "I have learned something today."',
        "{After that, {friend} did not boast any more|And from then on they ran together, just for fun}.",
    ],
    "a garden": [
        "{day}, {hero} found a tiny seed near {place}.",
        "{He} {put it into the earth|planted it behind the house} and gave it some water.",
        "Every morning {he} {went to look|looked}, but {nothing happened|there was nothing to see}.",
        '"{Maybe it is broken|It will never grow}," said {hero}.',
        '"{Be patient|Give it time}," said {friend} the {friend_kind}. "Good things {take time|need to wait}."',
        "So {hero} {waited|went on} and watered it {every day|in the sun and in the wind}.",
        "{After some weeks|In spring} a small green leaf came out of the earth.",
        "? It grew and grew until it was taller than {hero}.",
        "It {became|was} a {beautiful|big} {plant}!",
        "{hero} and {friend} {sat beside it|looked at it} and were happy that they had waited.",
    ],
    "getting lost": [
        "{day}, {hero} followed a {colour} butterfly into the {woods|forest}.",
        "{He} {ran|walked} on and on and did not look back.",
        "When the butterfly {was gone|flew away}, {hero} did not know where {he} was.",
        "? The trees looked all the same.",
        "{It was getting dark|The sun went down}, and {hero} {began to cry|was frightened}.",
        "Then {friend} the {friend_kind} {came out from behind a tree|heard {him}} and asked, \"{What is wrong?|Are you lost?}\"",
        '"I {cannot find my way|want to go} home," said {hero}.',
        '"{Follow me|Come with me}," said {friend}. "{I know every path here|We only have to follow the stream}."',
        "Together they {walked|went} {through the trees|along the stream} until they saw a light.",
        "It was {hero}'s house! {Mother|Father|Grandmother} was waiting at the door and {hugged|kissed} {him}.",
        '"I will {never run away|always look where I go}," said {hero}.',
    ],
    "a wish": [
        "{day}, {hero} found a {colour} {stone|bottle|lamp} {on the ground|in the sand} near {place}.",
        "When {he} {touched|picked up} it, a {soft|quiet} voice said, \"You have one wish.\"",
        "{hero} thought of {toys|sweets} and of {gold|a big castle}.",
        "But then {he} {saw|remembered} {friend} the {friend_kind}, who {was ill|could not sleep|had no home}.",
        "? It was not easy to choose.",
        '"I wish that {friend} {will be well and happy|has everything {fhe} needs}," said {hero}.',
        "{There was a flash of light|The wind blew softly}, and the magic was gone.",
        "The next morning {friend} came {running|dancing} down the road, {healthy and glad|laughing}.",
        "{hero} {told nobody about the wish|never said a word about it}, but {he} was {happier than ever|very happy} all the same.",
    ],
    "the stars": [
        "One {clear|quiet} night {hero} could not sleep.",
        "{He} {opened the window|went outside} and looked at the {sky|stars}.",
        "{friend} the {friend_kind} was {awake|still up} too.",
        '"{Why are you not sleeping?|Can you not sleep either?}" asked {friend}.',
        '"{I am thinking about tomorrow|My head is full of thoughts}," said {hero}.',
        '"{Then let us count the stars|Count the stars with me}," said {friend}.',
        "They {lay down in the grass|sat close together} and began: one, two, three, four, five.",
        "? A star fell, and both of them made a wish.",
        "{Before they came to twenty|Soon} {hero} closed {his} eyes and {slept|was fast asleep}.",
        "{friend} put a {warm|soft} blanket over {him} and said, \"Good night.\"",
    ],
    "helping": [
        "{day}, {hero}'s {grandmother|mother|father} {was ill|was tired} and asked, \"Can you {go to the market|buy some {food}} for {me|us}?\"",
        '"Yes, I can," said {hero} and took {a|the} {colour} basket.',
        "On the way {he} met {friend} the {friend_kind}, who {was playing with a ball|wanted to play}.",
        '"I would love to play, but first I have to {help at home|do my work}," said {hero}.',
        '"Then I will come with you," said {friend}. "{Work is faster with two|Two are faster than one}."',
        "They {bought|got} {food} and {food2} and carried everything home.",
        "? The basket was heavy, so they carried it together.",
        "{Everyone at home|The whole family} was {very happy|proud of them}.",
        "And {then|afterwards} there was still enough time to play {until the evening|in the sun}.",
    ],
    "music": [
        "{hero} loved music, but {he} had no {drum|flute|violin}.",
        "{day}, {he} heard {friend} the {friend_kind} singing near {place}.",
        '"{What a beautiful song|You sing so well}," said {hero}. "I wish I could {make music|do that} too."',
        '"{Everybody can make music|You do not need much}," said {friend}.',
        "{friend} {gave {him}|found} two {sticks|spoons} and an old {pot|box}.",
        "{hero} {tried it|began to play}: first slowly, then faster and faster.",
        "? It sounded strange at first.",
        "Soon {all the neighbours|many animals} came to {listen|see what was going on}.",
        "They {danced|clapped} and {sang along|laughed}.",
        "{hero} was {so happy|very proud}. {Now {he} played every day|That was the beginning of a little band}.",
    ],
}  # fmt: skip
BUILDS = ["boat", "tree house", "bridge", "little house", "raft", "swing", "cart"]
REFLEXIVE = {"he": "himself", "she": "herself"}

OPENINGS = [
    "Once upon a time, there was {a_trait} {kind} named {hero}. {He} lived {home}.",
    "Once upon a time, {a_trait} {kind} named {hero} lived {home}.",
    "{hero} was {a_trait} {kind} who lived {home}.",
    "Once there was {a_trait} {kind} called {hero}. {He} lived {home}.",
    "There once lived {a_trait} {kind} named {hero} {home}.",
]
ENDINGS = ["", "", "", " The end.", " And they lived happily ever after."]


def story(rng, kind=None, name=None, pronoun=None, plot=None):
    """(text, kind, name, theme) of a story; what is given is used, the rest is drawn."""
    if kind is None:
        kind = rng.choice(["girl", "boy"]) if rng.random() < 0.25 else rng.choice(HEROES).name
    if kind in ("girl", "boy"):
        pronoun = pronoun or ("she" if kind == "girl" else "he")
        names = [(n, p) for n, p, _ in NAMES if p == pronoun]
    else:
        names = [n for n in CHARACTER_NAMES if pronoun in (None, n[1])]
    if name is None:
        name, pronoun = rng.choice(names)
    pronoun = pronoun or rng.choice(["he", "she"])
    him, his = OTHERS[pronoun]
    friend_kind = rng.choice([a.name for a in HEROES if a.name != kind])
    friend, fhe = rng.choice([n for n in CHARACTER_NAMES if n[0] != name])
    theme = plot or rng.choice(list(PLOTS))
    food, food2 = rng.sample(FOOD, 2)
    slots = {
        "hero": name, "kind": kind, "he": pronoun, "He": pronoun.capitalize(), "him": him, "his": his, "himself": REFLEXIVE[pronoun], "friend": friend,
        "friend_kind": friend_kind, "fhe": fhe, "fhim": OTHERS[fhe][0], "fhis": OTHERS[fhe][1], "a_trait": article(rng.choice(TRAITS)),
        "home": rng.choice(HOMES), "place": rng.choice(PLACES), "treasure": rng.choice(TREASURES), "colour": rng.choice(list(COLOURS)),
        "food": food, "food2": food2, "fear": rng.choice(FEARS), "build": rng.choice(BUILDS), "plant": rng.choice(PLANTS),
        "weather": rng.choice(WEATHERS), "day": rng.choice(DAYS),
    }  # fmt: skip
    lines = [rng.choice(OPENINGS)]
    for line in PLOTS[theme]:
        if line.startswith("? "):
            if rng.random() < 0.5:
                continue
            line = line[2:]
        lines.append(line)
    text = capitalized(expand(rng, " ".join(lines), **slots)) + rng.choice(ENDINGS)
    return text, kind, name, expand(rng, theme, **slots)
