"""Unusual words for what the Toybox has, and twins of what it hasn't: so that no form tells them."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

ODD_NOUNS: dict[str, Words] = {
    "ball": ("bouncy ball", "rubber ball", "playground ball", "gym ball", "plastic ball", "soft ball", "kickball", "round ball", "ball toy", "kids ball", "beachball", "ball thingy"),
    "bell": ("jingle bell", "school bell", "cow bell", "brass bell", "dinner bell", "bell thingy", "handbell", "chapel bell", "sleigh bell", "bicycle bell", "ringing bell"),
    "bird": ("birdy", "garden bird", "singing bird", "feathered bird", "flying bird", "wild bird", "forest bird", "bird friend", "chirpy bird", "tweeting bird"),
    "bee": ("worker bee", "bumble bee", "honey bee", "buzzing bee", "busy bee", "garden bee", "bee insect", "wild bee", "queen bee", "bee thingy", "stinging bee"),
    "clock": ("kitchen clock", "round clock", "ticking clock", "bedside clock", "station clock", "clock with hands", "table clock", "analog clock", "old clock", "clock thingy", "mantel clock"),
    "drum": ("snare drum", "bass drum", "kettle drum", "hand drum", "tom drum", "toy drum", "marching drum", "drum thingy", "beating drum", "wooden drum", "drum to hit"),
    "duck": ("pond duck", "bath duck", "duckie", "quacking duck", "farm duck", "wild duck", "duck toy", "toy duck", "river duck"),
    "flute": ("concert flute", "school flute", "bamboo flute", "transverse flute", "flute thingy", "simple flute", "folk flute", "flute to blow"),
    "heart": ("beating heart", "valentine heart", "lovely heart", "human heart", "heart shape", "heart symbol", "heart thingy", "cartoon heart", "heart of love"),
    "rain": ("rain", "rainfall", "rain shower", "shower of rain", "rainstorm", "raining cloud", "rainy weather", "drizzle of rain", "cloud that rains", "rain cloudlet"),
    "siren": ("ambulance siren", "fire engine siren", "warning siren", "police-car siren", "emergency siren", "siren thingy", "wailing siren", "siren light", "factory siren"),
    "car": ("family car", "sports car", "race car", "motor car", "motor-car", "passenger car", "car with four wheels", "car thingy", "cartoon car", "fancy car"),
}  # fmt: skip
"""Nouns that people use for the things, beside the synonyms."""
RIDDLES: dict[str, Words] = {
    "ball": ("the round thing that you throw and catch", "that round toy that children kick", "something round that you can roll and throw", "the toy that you dribble in the yard", "what goalkeepers try to catch, one ball", "the round toy a dog fetches"),
    "bell": ("the thing in a church tower that goes ding dong", "that thing that rings when school is over", "the metal cup that you ring", "what cows wear around the neck and that goes ding", "the thing on a bike that goes ding ding", "something that you ring at the reception"),
    "bird": ("the animal with feathers that sings in the trees", "the tweeting animal", "that singer that sits in a nest", "the animal that chirps every morning", "something with a beak that sings at dawn", "who builds nests and tweets, the bird"),
    "bee": ("the insect that makes honey", "the striped insect that says bzzz", "that buzzing animal of the hive", "the one that flies from flower to flower and buzzes", "who lives in a hive and stings, a bee", "the insect that beekeepers keep"),
    "clock": ("the thing that tells the time", "that thing with two hands that goes tick tock", "what hangs on the wall and ticks", "the thing with an hour hand and a minute hand", "something that shows what time it is", "the ticking thing with numbers from one to twelve"),
    "drum": ("the instrument that you hit with two sticks", "the thing a drummer hits", "that instrument that goes boom boom", "the percussion instrument with a skin", "what you bang on with drumsticks", "the loud round instrument of a marching band that you beat"),
    "duck": ("the animal that says quack", "that quacking water bird, the duck", "the bird that swims on the pond and quacks", "what goes quack on the lake", "the waddling animal that quacks", "the animal that old people feed bread in the park, quack quack"),
    "flute": ("the wind instrument that you hold to the side", "that thin wind instrument with holes, a flute", "the instrument of a flutist", "the pipe with holes that you blow across", "what flutists play", "the instrument you blow that sounds so soft, the flute"),
    "heart": ("the symbol of love", "the organ that pumps the blood", "that thing in your body that beats", "the shape that means i love you", "what goes thump thump in everybody", "the valentine symbol"),
    "rain": ("the water that comes out of the sky, rain", "the wet weather that needs an umbrella, rain", "what farmers hope for in summer, rain", "the pitter patter on the window, rain", "drops from a cloud", "wet weather with drops"),
    "siren": ("the thing on a police car that wails", "what you hear when the fire brigade comes", "the thing that howls on an ambulance", "that wailing thing of the firefighters", "the loud warning thing that goes wee-oo wee-oo", "the wailing alarm on emergency vehicles"),
    "car": ("the thing with four wheels that you drive to work", "the vehicle with a steering wheel that you park in a garage, a car", "what people drive on the motorway, a car", "that machine with four wheels and an engine, a car", "the vehicle a family goes on holiday with, a car", "the thing that goes vroom on the road, a car"),
}  # fmt: skip
"""Phrases that tell of a thing by what it is for or does."""
OUTSIDE_RIDDLES: Words = (
    "the animal that barks", "the animal that says meow", "the thing that you sit on", "the animal with a trunk", "what you sleep in", "the thing you write with", "the animal that gives milk", "the fruit that monkeys like", "the tall animal with a long neck",
    "what you wear on your feet", "the thing that keeps food cold", "the instrument with black and white keys", "the instrument with six strings", "that animal with eight legs", "the vehicle that runs on rails", "the vehicle with two wheels", "something that you open when it is wet outside",
    "the thing that lights up the room", "the animal that hops and eats carrots", "the king of the jungle", "what firefighters wear on the head", "the thing in the sky at night", "that building with a king in it", "the big machine that digs holes", "the one who brings presents at christmas",
    "the animal that lives in a shell", "the thing you cut paper with", "the food with cheese and tomato", "what you put on a letter", "the animal that spins a web", "the vehicle that flies to the moon", "the person who bakes bread", "the animal that says moo", "the thing you brush your teeth with", "the thing in which you cook soup",
)  # fmt: skip
"""Phrases that tell of a thing that the Toybox doesn't have."""

COLOR_LIKE: dict[str, Words] = {
    "red": ("a strawberry", "a cherry", "blood", "ketchup", "a stop sign", "a fire truck", "a poppy", "a raspberry", "lipstick"),
    "orange": ("a carrot", "a pumpkin", "a mandarin", "a traffic cone", "an apricot", "a clementine", "a persimmon"),
    "yellow": ("a banana", "the sun", "a sunflower", "egg yolk", "a canary", "mustard", "corn", "a lemon"),
    "green": ("a frog", "a leaf", "spinach", "a cucumber", "moss", "peas", "a pine tree", "a lettuce", "a crocodile"),
    "cyan": ("a tropical lagoon", "cyan ink", "an aquamarine stone", "a turquoise stone"),
    "blue": ("a sapphire", "a blueberry", "jeans", "the deep sea", "a cornflower", "the ocean", "a smurf"),
    "purple": ("a plum", "an eggplant", "grapes", "an amethyst", "a lavender field"),
    "pink": ("bubblegum", "a flamingo", "a piglet", "cotton candy", "a cherry blossom", "candy floss", "marshmallows"),
}  # fmt: skip
"""What has a colour, to liken it to."""
OUTSIDE_LIKE: Words = ("coal", "snow", "mud", "chocolate", "ashes", "coffee", "milk", "an elephant", "a crow", "a polar bear", "sand", "a brown bear", "a zebra", "tar", "concrete", "a mouse", "chalk", "cocoa", "a penguin", "a hazelnut", "fog", "tree bark", "a swan", "cardboard", "pepper and salt", "a chestnut", "a raven", "flour", "an old penny")  # fmt: skip
LIKE_FORMS: Words = ("the colour of {l}", "in the color of {l}", "coloured like {l}", "with the colour of {l}", "same colour as {l}", "in the same color as {l}", "the shade of {l}", "color: like {l}", "that has the colour of {l}", "painted like {l}", "in the tone of {l}")  # fmt: skip
KNOWN_LIKE_FORMS: Words = (
    "as {c} as {l}",
    "{c} like {l}",
    "{c} as {l}",
    "{c}, think of {l}",
    "so {c} that it looks like {l}",
)

SIZE_ADJECTIVES: dict[str, Words] = {
    "small": ("puny", "pocket-sized", "dinky", "titchy", "bite-sized", "petite", "diminutive", "microscopic", "toy-sized", "itsy bitsy", "tiny little", "eensy"),
    "big": ("colossal", "mammoth", "towering", "oversized", "whopping", "immense", "hefty", "monstrous", "king-sized", "gargantuan", "supersized", "hulking"),
}  # fmt: skip
SIZE_TAILS: dict[str, Words] = {
    "small": ("no bigger than a pea", "the size of a coin", "as tiny as can be", "that would fit in a matchbox", "about the size of an ant", "so small you need a magnifying glass", "not larger than a button"),
    "big": ("as big as a house", "the size of an elephant", "as large as it gets", "that barely fits in", "about the size of a whale", "so big it hardly fits", "no smaller than a bus"),
}  # fmt: skip
TEMPO_TAILS: dict[str, Words] = {
    "slow": ("nice and slow", "in no hurry", "taking its time", "at a snail's pace", "without any hurry", "at a crawl", "very slowly indeed", "slow as honey", "lazily", "the slow way"),
    "fast": ("in a rush", "at top speed", "lickety-split", "double quick", "at full throttle", "as fast as it can", "like mad fast", "in a flash", "hurrying", "the fast way"),
}  # fmt: skip
MOTION_TAILS: dict[str, tuple[tuple[str, str], ...]] = {
    "still": (("not budge", "not budging"), ("stand there without moving", "standing there without moving"), ("stay put", "staying put"), ("remain where it is", "remaining where it is"), ("freeze in place", "frozen in place")),
    "left": (("leave on the left side", "leaving on the left side"), ("pass by to the left", "passing by to the left"), ("wander to the left", "wandering to the left"), ("scurry off to the left", "scurrying off to the left"), ("cross over to the left", "crossing over to the left")),
    "right": (("leave on the right side", "leaving on the right side"), ("pass by to the right", "passing by to the right"), ("wander to the right", "wandering to the right"), ("scurry off to the right", "scurrying off to the right"), ("cross over to the right", "crossing over to the right")),
    "up": (("take off into the sky", "taking off into the sky"), ("soar upwards", "soaring upwards"), ("head for the ceiling", "heading for the ceiling"), ("go up like a lift", "going up like a lift"), ("rise like a balloon", "rising like a balloon")),
    "down": (("tumble down", "tumbling down"), ("plunge to the ground", "plunging to the ground"), ("go down like a lift", "going down like a lift"), ("drop to the floor", "dropping to the floor"), ("sink like a stone", "sinking like a stone")),
    "toward": (("come right at you", "coming right at you"), ("rush up to the camera", "rushing up to the camera"), ("come closer and closer", "coming closer and closer"), ("approach the lens", "approaching the lens"), ("head straight for me", "heading straight for me")),
    "shake": (("shiver as if it were cold", "shivering as if it were cold"), ("rattle and shake", "rattling and shaking"), ("tremble all over", "trembling all over"), ("jitter", "jittering"), ("shudder", "shuddering")),
    "bounce": (("hop like a rabbit", "hopping like a rabbit"), ("jump like a frog", "jumping like a frog"), ("bounce as on a trampoline", "bouncing as on a trampoline"), ("boing boing about", "boing boinging about"), ("skip and hop", "skipping and hopping")),
}  # fmt: skip
"""Infinitive and participle phrases of motions."""

PRETTY: Words = ("cute", "nice", "pretty", "lovely", "simple", "funny", "cool", "beautiful", "adorable", "random", "plain", "sweet", "charming", "decent", "proper", "real", "normal", "friendly", "gorgeous", "fancy", "perfect", "silly", "good", "typical")  # fmt: skip
"""Adjectives that say nothing of the attributes."""
ALONE: Words = (
    "all alone", "by itself", "on its own", "and nothing else", "with nothing around it", "on a plain ground", "without anything else", "just that", "and only that", "no frills", "nothing fancy", "with nobody else", "alone please", "and that's all", "without decoration", "on an empty page", "without a scene",
    "with no extras", "nothing beside it", "no other things", "with an empty background", "single", "just the thing itself", "solo",
)  # fmt: skip
"""Tails of a thing that is alone, as it always is."""
ALONE_TO_HEAR: Words = ("all alone", "by itself", "on its own", "and nothing else", "without anything else", "just that", "and only that", "no frills", "nothing fancy", "and that's all", "with no extras", "no other sounds", "without music", "solo")  # fmt: skip
SHORT_TIMES: Words = ("a short", "a very short", "a two second", "a 2 second", "a brief", "a 2s", "one short", "only a brief")  # fmt: skip
ONE_OF: Words = ("one {n} of {x}", "just one {n} of {x}", "a single {n} of {x}", "exactly one {n} of {x}", "1 {n} of {x}", "{n} of {x}, once", "only 1 {n}: {x}", "one {n}, not more: {x}")  # fmt: skip
