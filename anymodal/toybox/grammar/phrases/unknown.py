"""Words for what is outside of the Toybox: things, colors, movements, abilities, questions, files, languages."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words


def each_word(text: str) -> Words:
    """The words of a text, one by one."""
    return tuple(text.split())


UNKNOWN_THINGS: Words = tuple(
    # animals
    "cat dog horse cow pig sheep goat donkey rabbit mouse rat hamster squirrel fox wolf bear lion tiger elephant giraffe zebra monkey gorilla panda koala kangaroo "
    "camel deer moose hedgehog bat whale dolphin shark fish goldfish octopus crab lobster snail worm spider ant butterfly ladybug fly mosquito dragonfly beetle frog toad "
    "snake lizard turtle crocodile dinosaur dragon unicorn penguin owl eagle parrot chicken rooster hen goose swan peacock flamingo ostrich pigeon crow seal otter puppy kitten "
    # people, and what they wear
    "person man woman boy girl baby child king queen princess knight pirate wizard witch doctor teacher policeman firefighter astronaut clown robot alien ghost zombie vampire angel "
    "mermaid superhero face hand foot eye nose mouth hat cap shoe boot sock shirt dress coat scarf glove belt ring necklace crown mask umbrella bag backpack "
    # food
    "apple banana cherry strawberry grape lemon melon pineapple coconut peach pear tomato potato carrot onion mushroom bread cake cookie pizza burger sandwich sausage cheese "
    "egg chocolate candy donut icecream pancake soup salad noodle rice steak "
    # house and things
    "house castle tower church bridge school hospital shop barn tent igloo door window roof wall fence chair table sofa bed lamp candle mirror clockwork carpet shelf book newspaper pen pencil "
    "brush scissors hammer saw nail key lock bottle cup mug glass plate fork spoon knife pot pan kettle fridge oven toaster phone computer laptop keyboard screen television camera radio microphone "
    "battery lightbulb box basket bucket rope ladder broom soap towel toothbrush pillow blanket doll teddy puzzle kite balloon dice yoyo swing slide sandcastle "
    # vehicles
    "bus truck van taxi train tram bicycle bike motorcycle scooter boat ship sailboat submarine plane airplane helicopter rocket spaceship ufo tractor ambulance wheelchair skateboard sled wagon "
    # nature
    "tree flower rose tulip sunflower cactus grass leaf bush forest mountain hill volcano river lake sea ocean beach island desert cave rock stone snowman snowflake star moon sun planet "
    "earth rainbow lightning fire smoke cloudless-sky tornado wave waterfall iceberg mushroom-house "
    # music and sport
    "guitar piano violin trumpet saxophone harp accordion harmonica cello banjo xylophone whistle gong tambourine football tennis-racket basketball-hoop goal trophy medal skate surfboard "
    # forms
    "triangle square rectangle hexagon spiral arrow cross letter number flag map coin diamond sword shield bow cannon bomb anchor compass wheel gear magnet telescope microscope".replace("-", " ").split()
)  # fmt: skip
_SEVERAL_WORDS: Words = (
    # of two words and more
    "polar bear", "grizzly bear", "teddy bear", "guinea pig", "sea horse", "sea lion", "killer whale", "praying mantis", "tree frog", "house cat", "german shepherd", "siamese cat", "t rex", "christmas tree", "palm tree", "apple tree", "washing machine", "vacuum cleaner", "coffee mug", "coffee machine",
    "hot dog", "ice cream", "ice cream cone", "birthday cake", "wedding cake", "fried egg", "police officer", "fire fighter", "electric guitar", "grand piano", "tennis racket", "swimming pool", "rocking chair", "paper plane", "shopping bag", "traffic light", "street lamp", "hot air balloon", "baseball bat", "gingerbread man",
    "steam train", "double decker bus", "garbage truck", "cement mixer", "space shuttle", "cruise ship", "pirate ship", "rowing boat", "speed boat", "mountain bike", "roller coaster", "ferris wheel", "merry go round", "haunted house", "tree house", "light bulb", "flower pot", "snow globe", "treasure chest", "magic wand", "flying carpet",
    "maple leaf", "venus flytrap", "shooting star", "solar system", "black hole", "coral reef", "tea pot", "frying pan", "rolling pin", "salt shaker", "fire hydrant", "mail box", "phone booth", "game boy", "remote control", "credit card", "wedding dress", "cowboy hat", "running shoe", "ballet dancer", "old man", "old lady",
    "rock star", "football player", "math teacher", "chess board", "chess piece", "rubik's cube", "spinning top", "sewing machine", "hair dryer", "cardboard box", "water bottle", "wine glass", "beer mug", "fruit basket", "cheese sandwich", "chicken nugget", "popcorn bag",
)  # fmt: skip
_MORE: Words = each_word(
    "alligator armadillo badger beaver bison buffalo bull calf caterpillar centipede cheetah chimpanzee cobra cockroach coyote cricket dachshund dalmatian dodo eel elk emu falcon ferret firefly flea gazelle gecko gerbil gibbon grasshopper gnu hawk heron hippo hyena iguana jaguar jellyfish ladybird lamb leopard lemur llama lynx "
    "macaw magpie mammoth manatee meerkat mole moth mule narwhal nightingale ocelot opossum orca oyster ox panther pelican piglet platypus pony poodle porcupine prawn puffin puma python quail raccoon raven reindeer rhino robin salmon salamander scorpion shrimp skunk sloth sparrow squid starfish stork swallow tadpole termite toucan tuna turkey "
    "vulture walrus wasp weasel wombat woodpecker yak chihuahua stegosaurus pterodactyl triceratops yeti bigfoot elf fairy dwarf troll ogre goblin gnome centaur phoenix pegasus cyclops werewolf mummy skeleton monster ninja samurai viking cowboy sheriff gladiator emperor prince duchess nurse dentist chef baker butcher farmer fisherman sailor pilot "
    "soldier judge lawyer plumber carpenter painter singer dancer actor violinist conductor clerk waiter barber tailor grandma grandpa grandfather grandmother uncle aunt cousin nephew niece neighbour boss bride groom twin toddler teenager policewoman mother father sister brother friend student professor priest nun monk "
    "almond apricot artichoke asparagus avocado bagel baguette bacon bean broccoli blueberry brownie burrito cabbage cauliflower celery cereal chili cinnamon corn croissant cucumber cupcake curry date dumpling eggplant fig fries garlic ginger gingerbread grapefruit ham hazelnut honey jam kebab ketchup kiwi lasagna leek lettuce "
    "lollipop lychee mango marshmallow meatball milkshake muffin mustard nacho nut oatmeal olive omelette pasta pea peanut pepper pickle pie plum popcorn pretzel pudding quiche radish raisin raspberry ravioli smoothie spaghetti spinach sushi taco tofu toast tortilla truffle waffle walnut yogurt zucchini "
    "abbey airport apartment aquarium barrack bakery bank barricade cabin cafe casino cathedral cemetery chapel cinema cottage dam dome factory farm fountain garage gate gazebo greenhouse hotel hut library mosque museum observatory office pagoda palace parliament pier playground prison pyramid restaurant skyscraper stadium stable supermarket synagogue temple "
    "theatre tomb treehouse tunnel villa warehouse windmill zoo balcony ceiling chimney corridor elevator escalator fireplace floor staircase armchair bathtub bench blender bookshelf bowl broomstick cabinet calculator calendar candlestick chandelier chopstick clothesline coathanger comb corkscrew couch cradle crib cupboard curtain cushion desk diary dishwasher "
    "doormat drawer dustbin envelope eraser fan faucet fishbowl flashlight freezer hairbrush hammock headphone hose iron jar jug laundry lawnmower lighter mattress microwave mop napkin needle notebook oar padlock paintbrush paperclip passport perfume pitcher printer razor refrigerator ruler scale screwdriver shovel sieve sponge stapler "
    "stool stove suitcase tablet teacup teapot teaspoon thermometer thermos toilet toolbox tray tripod tv typewriter vase wallet wardrobe wheelbarrow wrench zipper boomerang crayon frisbee jigsaw lego marble marionette pinata puppet seesaw trampoline trombone tuba oboe clarinet bassoon ukulele mandolin lute lyre organ keytar synthesizer "
    "maracas castanet cymbal bagpipe didgeridoo sitar theremin turntable jukebox gramophone loudspeaker metronome backpack bandana bikini blazer blouse boxer bracelet brooch cardigan cloak corset earring glasses gown helmet hoodie jacket jeans jumper kilt kimono leggings mitten monocle moustache pajama poncho purse raincoat robe sandal "
    "shawl skirt slipper sneaker sombrero suit sunglasses sweater swimsuit tiara tie toga trousers tuxedo turban underpants vest waistcoat wig airship barge bulldozer bobsled canoe caravan carriage chariot crane dinghy drone excavator ferry firetruck forklift gondola hovercraft jet jetski kayak limousine lorry minibus moped monorail "
    "parachute pickup raft rickshaw rollerblade satellite sidecar skateboarder snowmobile spacecraft stroller subway tank tanker trailer tricycle trolley unicycle yacht zeppelin acorn algae asteroid avalanche bamboo bonsai canyon cliff clover comet coral crater creek daffodil daisy dandelion dune fern fjord galaxy geyser glacier hailstone hurricane icicle ivy "
    "jungle lagoon lavafield lawn lily lotus meadow moss nebula oak oasis orchid palm pebble pine pinecone pond poppy puddle rainforest reef sandstorm seashell seaweed stream sunrise sunset swamp thorn thunderbolt tsunami twig valley vine waterlily weed willow dart domino dumbbell golfclub hockeystick javelin kettlebell parasol pinball podium racquet "
    "snorkel sleigh surfer target treadmill arch cone crescent cube cylinder ellipse octagon oval parabola pentagon polygon prism rhombus semicircle sphere trapezoid tetrahedron atom axe bandage binoculars brick bullet catapult chain dagger dynamite engine funnel grenade harpoon hourglass hook ink lasso lever lightsaber "
    "mousetrap pipe pistol pulley pump rifle screw signpost spring stethoscope syringe thimble throne tombstone torch totem trap treasure tweezers valve windsock wishbone skull brain lung liver bone tooth tongue ear elbow knee finger thumb toe stomach kidney muscle eyebrow beard ponytail fist leg arm shoulder "
    "ghoul cthulhu pokemon smurf minion barbie transformer hobbit jedi stormtrooper freedom justice happiness peace anger sadness jealousy democracy infinity dream secret friendship loneliness hope chaos truth nightmare success courage wisdom poverty silence education gravity eternity philosophy boredom victory"
)  # fmt: skip
_NOT_UNKNOWN = each_word(
    "clockwork fly slide ring bow cross number letter wave swing screen radio camera microphone brush pen pencil fire iceberg hand church beach wall football sunset rose ambulance firetruck boxer date scale spring tie trap target stream swallow robin pump ear iron organ suit fan tank arch chain jam pipe hook"
)
SUBSTANCES: Words = ("bread", "milk", "cheese", "rice", "soup", "sand", "smoke", "grass", "snow", "ice", "water", "lava", "fog", "honey", "tea", "coffee", "beer", "wine", "juice", "spaghetti", "popcorn", "chocolate", "sugar", "gold", "money", "jewellery", "furniture", "homework", "freedom", "happiness", "justice", "peace", "infinity", "loneliness", "gravity", "silence", "friendship", "nature", "electricity", "dust", "mud", "oil", "slime", "confetti", "lightning", "mist", "frost", "moonlight", "sunshine", "garbage", "sadness", "anger", "jealousy", "democracy", "hope", "chaos", "truth", "success", "courage", "wisdom", "poverty", "education", "eternity", "philosophy", "boredom", "laundry", "seaweed", "moss", "bamboo", "algae", "ham", "ginger", "cinnamon", "corn", "garlic", "curry", "tofu", "pasta", "broccoli", "celery", "cereal", "lettuce", "spinach", "ketchup", "mustard", "yogurt", "toast", "oatmeal", "bacon", "soap", "ink", "lasagna", "asparagus", "gingerbread", "sushi", "hail", "dynamite", "scissors", "jeans", "glasses", "sunglasses", "trousers", "leggings", "binoculars", "fries", "tweezers", "maracas", "dice")  # fmt: skip
"""Unknown nouns without an article."""
UNKNOWN_THINGS = tuple(
    dict.fromkeys(
        word for word in (*UNKNOWN_THINGS, *_MORE, *_SEVERAL_WORDS)
        if word not in _NOT_UNKNOWN and word not in SUBSTANCES and "-" not in word
    )
)  # fmt: skip
NAMED: Words = (
    "batman", "superman", "spiderman", "mickey mouse", "elsa", "harry potter", "pikachu", "super mario", "homer simpson", "yoda", "darth vader", "shrek", "santa claus", "the easter bunny", "winnie the pooh", "peter pan", "cinderella", "godzilla", "king kong", "dracula", "frankenstein", "sherlock holmes", "hello kitty", "spongebob",
    "garfield", "snoopy", "einstein", "napoleon", "mozart", "cleopatra", "shakespeare", "elvis", "the queen of england", "the pope", "obama", "the mona lisa", "the eiffel tower", "paris", "london", "the statue of liberty", "the great wall of china", "the taj mahal", "mount everest", "venice", "new york", "the pyramids", "africa",
    "the north pole", "hogwarts", "stonehenge", "the moon", "the sun", "the milky way", "saturn", "jupiter", "the universe", "the future", "the sea", "the desert", "the jungle", "the alps", "the amazon", "the titanic", "a game of chess", "a football match", "a wedding", "a birthday party", "a rock concert", "a war", "a street at night", "a city",
    "a crowd of people", "a family", "a group of friends", "a landscape", "a still life", "a jungle scene", "a sunset", "a beach", "nothing at all", "my family", "my house", "my room", "our school", "your face", "your mother", "your house", "yourself", "iron man", "thor", "the hulk", "wonder woman", "bart simpson", "sonic", "bambi", "tarzan", "robin hood", "zorro",
    "gandalf", "frodo", "princess leia", "chewbacca", "donkey kong", "popeye", "asterix", "tintin", "pinocchio", "the grinch", "a selfie", "the president", "lady gaga", "michael jackson", "messi", "picasso", "gandhi",
)  # fmt: skip
"""Unknown things that are named as they are."""
UNKNOWN_VOICES: tuple[tuple[str, str, str], ...] = (
    ("dog", "bark", "barking"), ("cat", "meow", "meowing"), ("cow", "moo", "mooing"), ("lion", "roar", "roaring"), ("horse", "neigh", "neighing"), ("sheep", "bleat", "bleating"), ("pig", "grunt", "grunting"), ("wolf", "howl at the moon", "howling at the moon"), ("frog", "croak", "croaking"), ("rooster", "crow", "crowing"),
    ("snake", "hiss", "hissing"), ("mouse", "squeak", "squeaking"), ("elephant", "trumpet", "trumpeting"), ("owl", "hoot", "hooting"), ("baby", "cry", "crying"), ("man", "snore", "snoring"), ("woman", "laugh", "laughing"), ("child", "giggle", "giggling"), ("choir", "sing", "singing"), ("train", "whistle", "whistling"),
    ("door", "creak", "creaking"), ("phone", "ring", "ringing"), ("kettle", "boil", "boiling"), ("dragon", "breathe fire", "breathing fire"), ("ghost", "moan", "moaning"), ("robot", "talk", "talking"), ("guitar", "play a chord", "playing a chord"), ("piano", "play a waltz", "playing a waltz"), ("fire", "crackle", "crackling"),
    ("chainsaw", "run", "running"), ("crowd", "cheer", "cheering"), ("glass", "break", "breaking"), ("cricket", "chirp", "chirping"), ("monkey", "scream", "screaming"), ("goose", "honk", "honking"), ("mosquito", "buzz", "buzzing"), ("truck", "honk", "honking"), ("violin", "play", "playing"), ("trumpet", "play", "playing"), ("owl", "sing", "singing"),
)  # fmt: skip
"""Unknown things with what they do when they sound."""
UNKNOWN_SOUNDS: Words = ("thunder", "wind", "laughter", "applause", "a scream", "a whisper", "footsteps", "a song", "rock music", "techno", "jazz", "a symphony", "a human voice", "a lullaby", "an explosion", "a gunshot", "snoring",
                         "a door that creaks", "a bark", "a meow", "a moo", "breaking glass", "a crowd", "the sea", "a choir", "a rap", "silence", "white noise", "a beep", "a kiss", "a sneeze", "a burp")  # fmt: skip
UNKNOWN_COLORS: Words = (
    "black", "white", "grey", "gray", "brown", "beige", "silver", "black", "white", "grey", "brown", "ivory", "transparent", "invisible", "bronze", "checkered", "colourless", "tan", "charcoal", "spotted", "multicoloured", "plaid", "camouflage", "glittery", "black and white", "rainbow-coloured", "striped",
    "off-white", "chocolate brown", "jet black", "snow white", "ash grey", "dark grey", "light grey", "light brown", "dark brown", "pitch black", "chestnut", "chrome", "metallic", "see-through", "tie-dyed", "polka-dotted", "zebra-striped", "tartan", "marbled", "leopard print", "ebony", "taupe", "mocha", "umber", "sepia", "platinum",
    "greyish", "brownish", "whitish", "blackish", "rainbow", "colorless", "patterned", "flowery", "pewter", "steel grey", "sandy", "off-black", "hazel", "walnut brown", "coffee brown", "pearl white", "mirror-like", "iridescent", "holographic", "ultraviolet", "infrared", "clear", "skin-coloured", "silvery", "ash-coloured", "coal black", "graphite",
)  # fmt: skip
UNKNOWN_MOTIONS: tuple[tuple[str, str], ...] = (
    ("spin", "spinning"), ("rotate", "rotating"), ("dance", "dancing"), ("explode", "exploding"), ("swim", "swimming"), ("melt", "melting"), ("roll over", "rolling over"), ("do a somersault", "doing a somersault"),
    ("go in circles", "going in circles"), ("zigzag", "zigzagging"), ("disappear", "disappearing"), ("change its colour", "changing its colour"), ("grow", "growing"), ("shrink", "shrinking"), ("blink", "blinking"), ("smile", "smiling"),
    ("do a backflip", "doing a backflip"), ("turn upside down", "turning upside down"), ("go diagonally", "going diagonally"), ("wave", "waving"), ("talk", "talking"), ("kiss", "kissing"),
    ("break", "breaking"), ("burn", "burning"), ("fade out", "fading out"), ("orbit", "orbiting"), ("swing", "swinging"), ("twirl", "twirling"), ("teleport", "teleporting"), ("open", "opening"), ("clap", "clapping"),
    ("fold in half", "folding in half"), ("split in two", "splitting in two"), ("spin around itself", "spinning around itself"), ("fly in a circle", "flying in a circle"), ("do a handstand", "doing a handstand"), ("do a looping", "doing a looping"), ("do a cartwheel", "doing a cartwheel"), ("turn around", "turning around"), ("turn into a frog", "turning into a frog"), ("turn into gold", "turning into gold"),
    ("vanish", "vanishing"), ("evaporate", "evaporating"), ("inflate", "inflating"), ("deflate", "deflating"), ("dissolve", "dissolving"), ("dance the tango", "dancing the tango"), ("waltz", "waltzing"), ("moonwalk", "moonwalking"), ("laugh", "laughing"), ("cry", "crying"), ("sneeze", "sneezing"), ("sleep", "sleeping"), ("eat", "eating"), ("drink milk", "drinking milk"), ("cook", "cooking"),
    ("dive under water", "diving under water"), ("sit down", "sitting down"), ("lie down", "lying down"), ("play football", "playing football"), ("read a book", "reading a book"), ("crash into a wall", "crashing into a wall"), ("catch fire", "catching fire"), ("freeze to ice", "freezing to ice"), ("multiply", "multiplying"), ("flicker", "flickering"), ("glow", "glowing"), ("sparkle", "sparkling"), ("draw a spiral", "drawing a spiral"),
    ("spiral outwards", "spiralling outwards"), ("fly a figure eight", "flying a figure eight"), ("circle round and round", "circling round and round"), ("pirouette", "pirouetting"), ("tie a knot", "tying a knot"), ("marry", "marrying"), ("fight", "fighting"), ("kick a goal", "kicking a goal"), ("ski", "skiing"), ("surf", "surfing"), ("flap its wings", "flapping its wings"), ("hatch from an egg", "hatching from an egg"), ("unfold", "unfolding"), ("crumble", "crumbling"),
)  # fmt: skip
EXTRAS: Words = ("with a hat", "on a table", "in the forest", "on the moon", "under water", "in space", "with sunglasses", "on the beach", "with a smile", "in the style of picasso", "in front of a house", "on a road", "with a black background",
                 "next to a tree", "in the snow", "with the word hello on it", "on fire", "with wings", "with legs", "with a face", "in a garden", "at night", "in the city", "inside a box", "with text below", "with flowers", "in the kitchen",
                 "with two heads", "with my name on it", "in 3d", "in black and white", "made of gold", "made of glass", "with stripes", "with polka dots", "on a mountain", "behind a window", "in a mirror", "with lots of friends",
          "with a moustache", "wearing boots", "in a tuxedo", "with a cape", "with headphones on", "with a crown", "with a scarf", "in a bow tie", "under an umbrella", "on a skateboard", "on a horse", "in a swimming pool", "at the north pole", "at school", "in a museum", "in a shop window", "on a plate", "on the roof", "in the desert", "on a bridge", "in the jungle",
          "with a sunset behind it", "with mountains in the background", "with a signature", "with a speech bubble", "with the date on it", "with a price tag", "in a picture frame", "with a shadow", "with brown stripes", "with black dots", "with grey wheels", "with white wings", "with a silver handle", "made of wood", "made of ice", "made of chocolate", "made of lego", "covered in snow",
          "covered in mud", "full of holes", "in the style of van gogh", "as a manga", "like a renaissance painting", "in pixel art", "in claymation", "photorealistic, in the savanna", "surrounded by children", "with its whole family", "with a baby", "with a dog beside it", "pulling a caravan", "carrying a suitcase", "holding a sign", "playing the piano", "sitting on a chair", "lying in bed", "reading a newspaper",
          "with a spider on top", "between two trees", "behind bars", "seen from above", "from the inside", "cut open", "upside down", "with the parts labelled", "with instructions", "with a map behind it", "in a snow globe", "at a birthday party", "at sunset", "on mars", "in paris", "with the eiffel tower behind", "with lightning", "with a rainbow", "with confetti", "with candles")  # fmt: skip
TOGETHER: Words = (
    "next to",
    "on top of",
    "beside",
    "under",
    "inside",
    "in front of",
    "behind",
    "together with, in one picture,",
    "and in the same picture",
    "chasing",
    "kissing",
    "holding",
    "eating",
    "that carries",
    "looking at",
    "fighting",
)

KNOWN_THINGS: Words = (
    "I know a ball, bell, bird, bee, clock, drum, duck, flute, heart, rain cloud, siren and car.", "I only know twelve things: ball, bell, bird, bee, clock, drum, duck, flute, heart, rain cloud, siren and car.",
    "My things are ball, bell, bird, bee, clock, drum, duck, flute, heart, rain cloud, siren and car.",
)  # fmt: skip
KNOWN_COLORS: Words = (
    "My colours are red, orange, yellow, green, cyan, blue, purple and pink.",
    "I know red, orange, yellow, green, cyan, blue, purple and pink.",
    "I only have red, orange, yellow, green, cyan, blue, purple and pink.",
)
KNOWN_MOTIONS: Words = (
    "Things can stand still, move left, right, up, down or toward us, shake or bounce.",
    "I know how to stand still, move left, right, up, down or toward us, shake and bounce.",
)
KNOWN_ABILITIES: Words = (
    "I can draw, play sounds and make short videos of twelve things.",
    "I only draw, play and film twelve things in eight colours.",
    "All I can do is to draw, play and film my twelve things, and to tell about them.",
)
NO_THING: Words = (
    "Sorry, I do not know what {x} is.",
    "I do not know {x}.",
    "{x} is not in my world.",
    "Sorry, I can't make {x}.",
    "I have never seen {x}.",
)
NO_COLOR: Words = (
    "Sorry, I can't do {x}.",
    "I do not know the colour {x}.",
    "There is no {x} in my world.",
    "I can't make anything {x}.",
)
NO_MOTION: Words = (
    "Sorry, I can't make things {x}.",
    "I can't let anything {x}.",
    "I do not know how to {x}.",
    "I can't show things {x}, sorry.",
)
NO_EXTRA: Words = (
    "Sorry, I can only show a thing alone, on a plain ground.",
    "I can't add that, I only show one thing at a time, on a plain ground.",
    "I can't do that, I show a single thing and nothing around it.",
)
NO_ABILITY: Words = (
    "Sorry, I can't do that.",
    "That is not something I can do.",
    "I can't, sorry.",
    "I do not know how to do that.",
)
NO_ANSWER: Words = (
    "I do not know that.",
    "Sorry, I don't know.",
    "That I do not know.",
    "I have no idea, sorry.",
    "I can't answer that.",
)
NO_LANGUAGE: Words = (
    "Sorry, I only know English.",
    "I do not understand, I only know English.",
    "I only speak English, sorry.",
    "I do not know this language, please say it in English.",
)

ABILITIES: Words = (
    "write a poem", "write me a song", "write an essay about dogs", "translate this into french", "send an email to my boss", "book a flight", "order a pizza", "call my mom", "set an alarm for seven", "remind me to buy milk", "search the web for news",
    "open the window", "turn on the lights", "make a 3d model", "write some python code", "fix my code", "solve this equation", "do my homework", "summarise this book", "tell me the news", "buy me a ticket", "make a website", "print this", "save it to my disk",
    "make a pdf", "write a letter", "play chess with me", "play a game", "tell me the time", "convert 5 miles to km", "download a movie", "install windows", "make a spreadsheet", "design a house for me", "make me a sandwich", "cook dinner", "take a selfie",
    "record my voice", "read this aloud", "sing a song", "say something in spanish", "give me the weather forecast", "check my spelling", "plan my holiday", "recommend a film", "draw a map of europe", "plot y = x", "make a table of primes",
    "remove the background", "crop the picture", "add subtitles", "cut the clip in half", "make it ten minutes long", "make the video in 4k", "upscale it", "turn the volume up", "make a longer video", "rotate the picture", "add some music to it",
)  # fmt: skip
QUESTIONS: Words = (
    "what's the capital of france?", "who is the president?", "how far is the moon?", "what is 17 times 23?", "what time is it?", "what day is it?", "who won the world cup?", "how do i get to the station?", "what's the meaning of life?", "who wrote hamlet?",
    "how many people live in china?", "what is the square root of two?", "when did the war end?", "what's in the news?", "how do i cook rice?", "what is quantum physics?", "why is the sky blue?", "what's your phone number?", "is there life on mars?", "how tall is mount everest?",
    "what does photosynthesis mean?", "who is taylor swift?", "how much is a car?", "what's the best phone?", "do you believe in god?", "will it rain tomorrow?", "what should i eat tonight?", "how old is the universe?", "who invented the wheel?", "what's my password?",
    "what language do they speak in brazil?", "which year is it?", "how do planes fly?", "what is the fastest animal?", "how many planets are there?", "what's the price of gold?", "who painted the mona lisa?", "how do i lose weight?", "what's the stock price of apple?", "where is my phone?",
    "what is love?", "how long is a marathon?", "what's the speed of light?", "who was einstein?", "what are black holes?", "how do i fix my bike?", "can you recommend a book?", "what's a good name for a dog?", "which is the largest ocean?", "when is christmas?", "what is the longest river?",
    "is coffee healthy?", "how do vaccines work?", "what is inflation?", "who is the richest man?", "what's the weather in rome?", "how many legs has a spider?", "what does rgb mean?", "which wine goes with fish?", "what's on tv tonight?",
)  # fmt: skip
SCARCE_QUESTIONS: dict[str, tuple[Words, Words]] = {
    "audio": (("what colour is it?", "which colour is the sound?", "what color does it have?", "is it red?", "how does it move?", "which way does it go?"),
              ("I only hear it, so I can't tell that.", "A sound does not show that, I can't tell.", "That can't be heard, I do not know.")),
    "image": (("how does it move?", "is it fast or slow?", "how does it sound in the picture?", "which way does it go?", "how fast is it?", "how loud is it?"),
              ("A picture does not show that, I can't tell.", "I can't tell that from a picture.", "That can't be seen in a picture, I do not know.")),
    "video": (("how loud is it?", "is there a sound in it?", "who filmed it?", "where was it filmed?", "when was this filmed?"), ("The video does not show that, I do not know.", "I can't tell that from the video.", "I do not know, I only see it.")),
    "imu": (("what colour is it?", "what thing is it?", "what does it look like?", "who moved it?", "how does it sound?"), ("I only feel a movement, so I can't tell that.", "A movement does not tell that, I do not know.", "That can't be felt, I do not know.")),
}  # fmt: skip
"""Questions that a medium of a modality can't answer, and replies."""

FILE_QUESTIONS: Words = ("what is this?", "describe it", "what do you see?", "what do you hear?", "what is it?", "tell me about this", "what's in it?", "what thing is it?", "which colour is it?", "how big is it?", "what's that?", "do you know this?", "explain what this is",
                         "is it a ball?", "name the thing", "draw it", "make a video of it", "play its sound", "what is it and how big?", "can you describe this?", "what am i sending you?", "identify this", "put it in words", "make it blue", "what could that be?", "recognise it?",
                         "and this?", "how about this one?", "look at this", "listen to this", "what do you make of it?", "caption this", "which toy is this?", "tell me what it is, its colour and its size",
                         "what have we got here?", "any idea what this could be?", "guess what this is", "go on, guess", "can you make out anything?", "what did i just send?", "my son sent me this, what is it?", "found this on my phone, what is it?", "help me with this file", "do you get what this is?", "is there anything in it?", "which of your things is this?",
                         "is it one of your things?", "whats dis", "wat is it", "what is it pls", "i can't open it, what's in there?", "please describe the attached file", "alt text please", "give me a caption for it", "summary?", "thing, colour, size?", "object + size pls", "name it", "what thing and how fast?", "tell me everything about it", "explain it to my grandma", "what do you notice?",
                         "is this a bird or a bee?", "is it a car?", "am i right that this is a drum?", "it's a clock, isn't it?", "this is a heart, correct?", "is it a duck?", "could that be a siren?", "does it show a bell?", "is it big?", "is it small or big?", "fast or slow?", "does it move?", "what does it do?", "what's going on here?", "what happens in this one?", "who is this?", "what animal is it?",
                         "which instrument is that?", "turn it into a picture", "draw what this is", "make the same again", "make it bigger", "the same but red", "now in green", "do one like this", "copy it", "repeat that", "play it slower", "make a clip from this", "can you draw that thing?", "show me its sound", "animate it", "is this good?", "check this out, what is it?", "hey what's this thing here",
                         "excuse me, what might this be?", "could you kindly tell me what this is?", "i'd like to know what this is", "let me know what it is", "be honest, do you know what this is?", "you know it?", "recognize?", "classify this", "label it", "identify the object", "object:", "describe:", "this?", "and?", "?", "so what is it", "what would you call this?", "in one word, what is it?", "in a few words please", "tell me the name of this")  # fmt: skip
OUTSIDE_REPLIES: dict[str, Words] = {
    "silence": ("I hear nothing, so I do not know what it is.", "There is nothing to hear. I only know the sounds of my things.", "That is silence, I can't tell what it should be."),
    "noise": ("I only hear noise, I do not know what it is.", "That is just noise, I can't hear any of my things in it.", "It is noise. I only know the sounds of my things."),
    "speech": ("I hear a voice, and I do not understand speech.", "Somebody speaks, and I do not know what it means.", "That is a voice. I only know the sounds of my things."),
    "music": ("I hear music, and I do not know it.", "That is music, I do not know what plays.", "It sounds like music, I only know my twelve things."),
    "empty page": ("There is nothing in it, so I do not know what it is.", "I can't see anything, it is empty.", "That is empty. I only know my twelve things, and none is there."),
    "photograph": ("I do not know what this is, I only know my twelve things.", "I can't tell what that is, it is none of my things.", "It looks like a photograph, and I do not know what it shows."),
    "two things": ("I see more than one thing, and I only know one at a time.", "There are several things in it, I can't tell what they are.", "That is more than one thing, I can't tell them apart."),
    "static": ("I only see noise, I do not know what it is.", "That is just noise, I can't see any of my things in it.", "I do not know what this is, it is only noise."),
    "shaken": ("I do not know this movement.", "That is a movement that I do not know.", "I feel something, and I do not know what movement it is."),
}  # fmt: skip
"""Replies to a given medium from outside, by what it shows."""

UNKNOWN_FRAMES: dict[str, Words] = {
    "image": ("2: draw {x}", "draw me {x}", "paint {x}", "a picture of {x}", "{x} pic", "can you draw {x}?", "i want a picture of {x}", "show me {x}", "sketch {x} please", "make an image of {x}", "{x}, drawn", "{x}", "i'd like a drawing of {x}", "could you paint {x} for me?", "pic of {x} pls",
              "do you have a picture of {x}?", "let me see {x}", "what does {x} look like?", "please draw {x}", "generate an image of {x}", "now {x}", "and {x}?", "what about {x}?", "hey draw {x}", "i need {x} as a drawing", "how about {x}?", "my kid wants a picture of {x}"),
    "audio": ("play {x}", "the sound of {x}", "what does {x} sound like?", "let me hear {x}", "can you play {x}?", "i want to hear {x}", "sound of {x} pls", "make the noise of {x}", "play the sound of {x}", "please play {x}", "how does {x} sound?", "noise of {x}", "imitate {x}", "audio of {x}"),
    "video": ("film {x}", "a video of {x}", "animate {x}", "make a clip of {x}", "can you make a video of {x}?", "i want a video of {x}", "{x} gif", "vid of {x} pls", "please film {x}", "show me a video of {x}", "generate a video of {x}", "let me watch {x}", "make a movie with {x}"),
}  # fmt: skip
TEMPTING: Words = (
    "my {u} would like this: {r}", "i know it sounds odd, but {r}", "i don't have a {u}, so {r}", "forget the {u}, {r}", "not a {u}. {r}", "no {u} please, {r}", "i had a {u} once. {r}", "this is for my {u}: {r}", "instead of a {u}, {r}", "i'm on a {u} right now, {r}",
    "there's no such thing, but {r}", "i've never seen one, {r}", "it may not exist, but {r}", "is this possible? {r}", "can you do this: {r}", "i bet you don't know this: {r}", "it's weird, {r}", "just imagine: {r}", "in a dream i saw it. {r}", "nobody has ever made one. {r}",
    "my {u} broke, {r}", "i saw a {u} today. {r}", "the {u} is too hard for you, {r}", "you don't know a {u}, so {r}", "ok no {u}. {r}", "if not a {u} then {r}", "while my {u} is asleep, {r}", "the other model can't do it: {r}", "{r}. it's for my {u}", "{r}, my {u} loves it", "{r}, not a {u}",
    "do you know what the capital of france is? doesn't matter. {r}", "i don't care about the weather. {r}", "no poem, no code, just this: {r}", "you can't do much, but this you can: {r}",
)  # fmt: skip
"""Frames of requests that sound odd, or name an unknown thing {u}, and can be met: {r}."""

FOREIGN: dict[str, tuple[Words, Words, Words]] = {
    "de": (("zeichne", "male mir", "kannst du", "bitte zeige mir", "ich möchte"), ("ein rotes auto", "einen ball", "eine ente", "einen blauen vogel", "eine uhr", "ein herz", "eine katze"), ("guten tag", "wie geht es dir?", "was kannst du?", "danke schön", "sprichst du deutsch?", "mach es größer")),
    "fr": (("dessine", "dessine moi", "peux-tu dessiner", "je voudrais", "montre moi"), ("une voiture rouge", "un ballon", "un canard", "un oiseau bleu", "une horloge", "un coeur", "un chat"), ("bonjour", "comment ça va?", "merci beaucoup", "parles-tu français?", "qu'est-ce que c'est?", "plus grand")),
    "es": (("dibuja", "puedes dibujar", "quiero", "por favor dibuja", "muéstrame"), ("un coche rojo", "una pelota", "un pato", "un pájaro azul", "un reloj", "un corazón", "un gato"), ("hola", "¿qué tal?", "muchas gracias", "¿hablas español?", "¿qué es esto?", "más grande")),
    "it": (("disegna", "puoi disegnare", "vorrei", "fammi vedere"), ("una macchina rossa", "una palla", "un'anatra", "un uccello blu", "un orologio", "un cuore"), ("ciao", "come stai?", "grazie mille", "parli italiano?", "che cos'è?", "più grande")),
    "pt": (("desenhe", "pode desenhar", "quero", "mostre"), ("um carro vermelho", "uma bola", "um pato", "um pássaro azul", "um relógio", "um coração"), ("olá", "tudo bem?", "muito obrigado", "você fala português?", "o que é isto?")),
    "nl": (("teken", "kun je", "ik wil graag", "laat me zien"), ("een rode auto", "een bal", "een eend", "een blauwe vogel", "een klok"), ("hallo daar", "hoe gaat het?", "dank je wel", "spreek je nederlands?")),
    "pl": (("narysuj", "poproszę", "chcę"), ("czerwony samochód", "piłkę", "kaczkę", "niebieskiego ptaka", "zegar"), ("cześć", "jak się masz?", "dziękuję", "mówisz po polsku?")),
    "ru": (("нарисуй", "покажи", "я хочу"), ("красную машину", "мяч", "утку", "синюю птицу", "часы"), ("привет", "как дела?", "спасибо", "ты говоришь по-русски?")),
    "tr": (("çiz", "lütfen çiz", "istiyorum"), ("kırmızı araba", "top", "ördek", "mavi kuş"), ("merhaba", "nasılsın?", "teşekkürler")),
    "zh": (("画", "请画", "我想要"), ("一辆红色的车", "一个球", "一只鸭子", "一只蓝色的鸟"), ("你好", "谢谢", "你会说中文吗?")),
    "ja": (("描いて", "見せて"), ("赤い車", "ボール", "アヒル", "青い鳥"), ("こんにちは", "ありがとう", "日本語を話せますか?")),
    "hi": (("बनाओ", "दिखाओ"), ("लाल गाड़ी", "गेंद", "बत्तख"), ("नमस्ते", "धन्यवाद")),
    "ar": (("ارسم", "أريد"), ("سيارة حمراء", "كرة", "بطة"), ("مرحبا", "شكرا")),
}  # fmt: skip
"""Verbs, things and phrases of other languages."""
GIBBERISH: Words = (
    "asdf",
    "qwerty",
    "jkjkjk",
    "blah blah blah",
    "lorem ipsum",
    "xyz",
    "???",
    "hmpf grmpf",
    "aaaaaaa",
    "fghjkl",
    "...",
    "zzz",
    "bla",
    "dfgdfg",
    "1234567",
    "qqq",
    "hjkl",
    "brrrt",
    "splork",
    "flumph gribbit",
    "zxcvb",
    "mmmmm",
    "ghghgh",
    "oiuytr",
    "xcvxcv",
    "plmokn",
    "skibidi dop",
    "abracadabra",
    "wasd wasd",
    "ksksks",
    "ffffff",
    "lalala",
    "nananana",
    "pqpqpq",
    "!!!",
    "?!?!",
    "%$&",
    "hrmpf",
    "grrr",
    "foo bar baz",
    "wubba lubba",
    "kdjfhg",
    "tttt",
    "uiop",
)
NO_SENSE: Words = (
    "Sorry, I do not understand.",
    "I do not understand that. Ask me to draw, play or film something.",
    "I do not know what you mean.",
)

MOTION_FRAMES: Words = (
    "make {x} {i}",
    "film {x} {p}",
    "a video of {x} {p}",
    "let {x} {i}",
    "{x} {p}, as a video",
    "can {x} {i}?",
    "show me {x} {p}",
    "animate {x} {p}",
    "i want to see {x} {i}",
    "{x} that is {p}, gif",
)
ABILITY_FRAMES: Words = (
    "{v}",
    "{v}",
    "can you {v}?",
    "please {v}",
    "{v} please",
    "could you {v}?",
    "i want you to {v}",
    "now {v}",
    "{v} for me",
)
QUESTION_FRAMES: Words = (
    "{q}",
    "{q}",
    "{q}",
    "hey, {q}",
    "tell me: {q}",
    "question: {q}",
    "i wonder, {q}",
    "quick question, {q}",
)
