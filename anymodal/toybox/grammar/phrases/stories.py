"""Messages that name things, pictures, sounds or films, and ask for nothing."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

STORIES: dict[str, Words] = {
    "story": ("12: {event}", "3: {opener}{event}", "3: {event}{tail}", "4: {taste}", "{opener}{taste}", "3: {opinion}", "2: {fact}", "2: {opener}{fact}", "2: {event}. {event}", "{opinion}. {taste}", "{taste}. {event}", "2: {habit}", "{opener}{habit}",
              "2: {plan}", "2: {worry}", "{worry}{tail}", "{opener}{worry}"),
    "opener": ("you know, ", "guess what, ", "funny thing, ", "oh man, ", "by the way, ", "well, ", "so, ", "just a story: ", "you won't believe it, ", "no request, just a story: ", "i have to tell somebody: ", "do you know what happened? ",
               "hi, ", "hey, ", "lol, ", "haha, ", "omg ", "ugh, ", "wow, ", "phew, ", "what a day, ", "sorry, i just need to say that ", "don't draw anything, i just want to talk. ", "before we start, ", "as i was saying, ", "between us, ", "listen, "),
    "tail": (", that's all", ", can you imagine", ", what a day", " and i laughed a lot", " lol", " haha", ", just saying", ", so annoying", " and it was lovely", ", you know", ", i thought i'd tell you", ", no need to do anything", " and then i went home",
             ", life is strange", " and everybody clapped", ", funny isn't it", ", true story", ", such is life", " :)", ", oh well"),
    "who": ("my uncle", "my aunt", "my brother", "my sister", "my grandfather", "my grandma", "my neighbour", "the neighbours", "my daughter", "my son", "my boss", "my best friend", "a friend of mine", "my cousin", "our teacher", "my dad", "my mum",
            "the old man next door", "my niece", "my flatmate", "my husband", "my wife", "somebody in our street", "the kid upstairs", "a colleague", "my ex"),
    "when": ("yesterday", "this morning", "last night", "last week", "last summer", "on sunday", "on monday", "at noon", "at five in the morning", "when i was young", "years ago", "the other day", "last year", "an hour ago", "during lunch", "all night",
             "at the weekend", "in the holidays", "when i was a child", "again today", "as always"),
    "event": (
        # cars
        "my car [lost a wheel|stopped|died|would not start|made a strange noise|got a flat tyre|needed petrol|was towed] {when}", "{who} [bought|sold|crashed|washed|parked|borrowed|scratched|lost] [a|the|my|our] car {when}", "{when} somebody [hit|scratched|stole] my car",
        "i spent {hours} in the car [with the kids|on the motorway|in a traffic jam|because of roadworks]", "the car in front of me [stopped|braked] for no reason", "we drove to the sea in my [red|blue|green|old|new|yellow] car {when}", "i left my keys in the car {when}",
        "a [red|blue|yellow|green] car parked in front of our door {when}", "the car wash was closed {when}", "i failed my driving test, the car and i don't get along", "{who} taught me to drive a car {when}", "i sold my car and ride a bike now",
        # birds and ducks
        "a bird [hid under the bench|flew into our window|sat on my balcony|built a nest on our roof|sang in the garden|stole my sandwich|landed on my head] {when}", "there's a [small|big|red|blue|yellow|tiny] bird [in our garden|at the feeder|on the fence] every day",
        "{who} [feeds|watches|photographs|counts] birds [in the park|on the balcony|all the time|by the lake]", "the birds were so loud {when}", "we saw [a duck|two ducks|some ducks|a family of ducks] [on the pond|crossing the street|in the park|by the river] {when}",
        "we fed the ducks {when}", "a duck followed {who} home {when}", "{who} had duck for dinner {when}", "my rubber duck fell off the bathtub", "the ducks in the park were asleep {when}", "a duck bit {who} {when}", "our cat brought a bird home {when}",
        # bees
        "a bee [stung me|stung {who}|flew into my room|sat on my cake|landed on my nose] {when}", "{who} keeps bees [on the roof|in the garden|as a hobby]", "the bees are back in our garden", "i found a dead bee on the window sill {when}", "there was a bee in the car {when}",
        "we bought honey from somebody who keeps bees", "i was busy as a bee {when}", "{who} is afraid of bees", "a swarm of bees moved into our chimney",
        # clocks and bells
        "the clock [in the kitchen|in the hall|on my desk|at the station|on the wall] [stopped|was wrong|ticked too loudly|broke|fell off the wall] {when}", "{who} [repairs|collects|gave me|bought] [old clocks|clocks]", "i forgot to set my alarm clock {when}",
        "my alarm clock did not ring {when}", "we changed the clocks {when} and i'm so tired", "i work around the clock", "the church bell [rings|rang] [every hour|all morning|at six|during the wedding]", "the bell rang and nobody was at the door", "the school bell was broken {when}",
        "i rode my bike and the bell fell off", "the cow next door wears a bell", "{who} rang the bell and ran away {when}", "your name rings a bell", "saved by the bell {when}",
        # drums, flutes, hearts
        "{who} [played|plays|practised|learned|learns|hates] the [drum|drums|flute] [in a band|at school|every day|all night|at our wedding|in an orchestra|since may]", "{who} bought a [drum|flute|drum kit] {when}", "i played the flute [for six years|at school|badly]", "the drummer broke a drum {when}",
        "a [drum|flute] was for sale at the flea market {when}", "my flute teacher moved away", "the neighbours complained about my drums {when}", "my drum lesson was cancelled {when}", "my heart [is broken|beats for you|is heavy today|skipped a beat {when}|was racing {when}|is full of joy]",
        "{who} broke my heart {when}", "the doctor listened to my heart {when}", "{who} had a heart operation {when}", "i learned the poem by heart", "she drew a heart on the window", "{who} has a heart of gold", "he wore his heart on his sleeve", "i got a card with a [red|pink|big] heart {when}",
        # rain and sirens
        "[it rained|there was rain|we had rain] {when}", "it's been raining [all day|for a week|since monday|cats and dogs]", "we got wet in the rain {when}", "the rain [ruined our picnic|stopped at last|came through the roof|flooded the cellar|surprised us] {when}", "{who} danced in the rain {when}",
        "i forgot my umbrella and walked home in the rain", "the match was called off because of the rain", "my garden needs rain", "a siren [woke me|went off|howled|scared the dog] {when}", "there were sirens [all night|everywhere] {when}", "the fire brigade tested the siren {when}",
        "we live near the hospital and hear sirens all the time", "{who} drives an ambulance with a siren", "the police came with the siren on {when}",
        # balls
        "{who} [lost|kicked|threw|found|caught|popped] [a|the|my|our] ball {when}", "the ball [went over the fence|broke a window|rolled under the car|hit me in the face] {when}", "the kids played ball [in the street|in the garden|on the beach] {when}", "our dog [ate|chewed|buried] the ball {when}",
        "we had a ball {when}", "{who} bought a [red|green|blue|big] ball for the baby", "i dropped the ball at work {when}",
        # pictures, sounds, films
        "i [saw|watched|missed|slept through] a [film|movie|video|documentary] [about birds|about bees|about rain|about cars|with {who}|in the cinema] {when}", "{who} [took|painted|drew|sold|bought|hung up|lost] a [picture|painting|drawing|photo|portrait] [of a duck|of a bird|of me|of the sea|] {when}",
        "{who} makes [videos|films|drawings|animations|recordings] [for a living|at school|all day long|of her cat]", "i heard a [strange|loud|funny|nice|familiar] [sound|noise] [in the kitchen|from upstairs|in the car|outside] {when}", "the sound of my tv is broken", "my headphones broke {when}",
        "the exhibition had so many pictures of [ducks|birds|cars|hearts]", "i deleted all my [photos|videos|pictures|recordings] by mistake {when}", "my phone is full of [photos|videos|pictures] of [my dog|ducks|clocks|my car]", "{who} sent me a [video|picture|sound|photo] {when}",
        "i painted the kitchen [yellow|blue|green|red] {when}", "we watched old home videos {when}", "i learned to draw {when}", "the picture on my wall fell off {when}", "there's a video of me on the internet", "i recorded the rain {when}", "{who} filmed our wedding",
        "at the museum there was a drawing of a [bird|duck|bee|clock]", "our radio plays the same sound all day", "the noise of the drums next door kept me awake {when}",
    ),
    "hours": ("two hours", "five hours", "half a day", "an hour", "the whole day", "all evening", "the night"),
    "taste": (
        "i [love|like|adore|hate|miss|can't stand|enjoy|don't like] the sound of [rain|bells|birds|a flute|drums|sirens|clocks|bees|a ticking clock|an old car|the church bell]", "[birds|bees|ducks|bells|drums|flutes|clocks|cars|hearts|balls|sirens] are [great|boring|cute|loud|lovely|so pretty|the best]",
        "i [love|like|prefer|hate|adore] [rain|rainy days|ducks|birds|bees|old cars|fast cars|drum solos|flute music|cuckoo clocks|big bells|pink hearts|blue cars|red balls]", "[red|blue|green|yellow|pink|purple|orange|cyan] is [such a nice colour|not my colour|her favourite colour|everywhere this year]",
        "i [like|prefer|love] [pictures|drawings|films|videos|sounds|music|animations] [more than|better than] [words|books|films|pictures|videos|sounds]", "{who} [loves|hates|likes|is crazy about|is scared of] [cars|birds|ducks|bees|clocks|drums|rain|sirens|bells|flutes|ball games]",
        "rain [cheers me|makes me sleepy|makes me sad|is good for the garden|smells so good]", "nothing beats the sound of [rain|a flute|bells] in the evening", "a ticking clock drives me mad", "i find sirens [scary|annoying|exciting]", "i'm a fan of [drums|old cars|slow films|short films|ducks]",
        "ducks make me smile", "i'm allergic to bees", "bees are important for all of us", "birds in cages make me sad", "cars are too loud for me", "i don't care for [cars|balls|clocks|drums]", "i could watch ducks for hours", "i could listen to rain for hours",
    ),
    "opinion": (
        "[pictures|photos|drawings|paintings|films|videos|sounds|songs] [say more than words|are so much fun|are overrated|make me happy|were better in the old days|never get old|bore me|move me]", "a good [picture|film|sound|drawing|video] [stays in your mind|needs time|tells a story|is rare]",
        "i think [films|videos|movies] are [too long|too loud|too short|better in the cinema] these days", "[that|the last] [film|movie|exhibition|concert] {i_saw} was [great|awful|too long|so sad|beautiful]", "drawing is [hard|relaxing|harder than it looks|my hobby|not for me]", "filming is [fun|hard work|for patient people]",
        "photos of food are silly", "black and white pictures have style", "sound matters more than pictures in a film", "you can't trust videos any more", "i never understood modern paintings", "cartoons aren't just for kids", "silence is the best sound", "every picture has its price", "i like how pictures can tell stories",
        "recording sounds is harder than taking pictures", "a drum is louder than a flute", "birds sing better than people", "a clock without hands is useless", "cars belong in the garage", "a duck is funnier than a bee",
    ),
    "i_saw": ("", "i saw", "that we watched", "i went to"),
    "fact": (
        "[a bee|a bird|a duck] can [fly|not read|be faster than you think]", "bees make honey", "ducks like water", "a car has four wheels", "a heart beats all day long", "clocks tell the time", "a drum is an instrument", "a flute is made of wood or metal", "rain is wet", "bells are made of metal", "a ball is round",
        "sirens are loud for a reason", "birds sing in the morning", "it often rains in [april|london|november|our town]", "there are many kinds of [birds|ducks|bees|drums|clocks|cars]", "in our village there's [a bell|a clock|a duck pond|a bird park|a car museum]", "the heart is a muscle",
        "the first film had no sound", "a picture says more than a thousand words", "my favourite film has a car chase in it", "my favourite picture is of a bird", "the oldest flute is made of bone", "ducklings follow their mother",
    ),
    "habit": (
        "{who} [listens to rain|watches bird videos|plays the drum|plays the flute|winds the clock|washes the car|feeds the ducks|draws hearts|takes pictures of birds|watches films] [every evening|every day|on sundays|before bed|all the time]", "i [usually|never|always|often|rarely] [watch videos|draw|paint|listen to the rain|take the car|look at the clock|play ball|take photos|record sounds|feed the birds]",
        "every morning a bird sits on my window", "every spring the bees come back", "on fridays we watch a film", "i keep a picture of my dog on my desk", "i wake before the alarm clock rings", "we go by car to work", "i doze off when rain taps at the window", "at night i hear the clock tick", "i draw when i'm nervous", "i paint on sundays",
    ),
    "plan": (
        "tomorrow we [buy a car|go and see the ducks|watch a film|play ball|visit the clock museum|go to a drum workshop]", "i'm going to [learn the flute|buy a drum|sell the car|paint the wall blue|repair the clock|build a bird house|record a song]", "next week {who} gets a [new car|drum|flute|bird|clock]",
        "i'm thinking about [a new car|a bird house|bees in the garden|drum lessons|a clock for the kitchen]", "we want to go to the cinema tonight", "if it rains tomorrow we stay at home", "i hope the rain stops soon", "one day i'll own a [red|blue|fast] car", "i want to become a [drummer|painter|film maker|bee keeper|car mechanic]",
        "maybe i will draw something myself later", "i plan to watch a film with {who} tonight", "i should call somebody to fix the clock",
    ),
    "worry": (
        "i'm afraid of [bees|the dentist|sirens|fast cars|big birds]", "my heart beats so fast before exams", "the car makes a funny noise and i have no money", "the baby is scared of the drum", "the siren outside gives me a headache", "the clock says it's late and i can't sleep", "it rains and i feel lonely",
        "i worry about the bees", "i have the sound of that bell in my head all day", "my bird is ill", "the ducks on our pond have disappeared", "somebody broke the mirror of my car", "my boyfriend forgot our film night", "i lost the picture of my grandmother", "my camera is broken", "my videos get no likes",
        "nobody likes my drawings", "my ears hurt from the concert", "my heart hurts when i think of her",
    ),
}  # fmt: skip
"""Rules of messages about one's day, tastes and opinions; `story` is where they begin."""

STORY_REPLIES: Words = (
    "I see. Tell me more.",
    "Thanks for telling me.",
    "Oh, I see.",
    "I see.",
    "Thank you for telling me about it.",
)
"""Replies to them, glad or sad."""

QUIET_TALK: tuple[tuple[Words, Words], ...] = (
    (("thanks, the picture is lovely", "thank you for the video", "thanks for the sound", "that's a great drawing, thank you", "ta", "cheers", "much appreciated", "you've been a great help", "thanks for your help today", "thank you so much, that's all i needed", "ty!", "thx a lot",
      "thanks a million", "thank you kindly", "i'm grateful", "thanks, i'll keep it", "thanks, my kid loves it", "thanks for the pictures and the sounds", "that helped, thanks", "great stuff, thank you", "bless you, dear", "thanks, that was quick", "merci", "thanks again", "thank you nano",
      "thanks for everything", "that was nice of you", "appreciate it", "tysm", "thank u", "thanks mate", "a big thank you"),
     ("You are welcome.", "Gladly.", "No problem.", "I am happy to help.")),
    (("bye for now", "see you tomorrow", "i'm off to bed", "good night, sleep well", "i'm leaving now", "talk to you later", "catch you later", "farewell", "so long", "until next time", "that's it for today, bye", "i have to catch my train, bye", "my mum is calling, bye", "dinner's ready, bye", "nighty night",
      "bye, thanks for the drawings", "the kids are waiting, see you", "i'm done for today", "have a good evening", "have a nice weekend", "peace out", "toodles", "gotta run", "i'm logging off", "see you on monday", "bye nano", "bye bye nano", "over and out", "take care and bye", "it was nice to talk to you, bye"),
     ("Goodbye!", "See you soon.", "Bye, come back soon.", "Have a nice day!")),
    (("this picture would look great on my wall", "the drawing is better than mine", "the video made my day", "i showed the picture to my wife and she loved it", "the sound is so funny", "i like how the film turned out", "you draw better than my brother", "your pictures are pretty", "your sounds are so real",
      "what a lovely film that was", "i could look at it all day", "it sounds just like the real one", "you're an artist", "the kids love your videos", "this is so well done", "bravo", "hats off", "looks good to me", "sounds good to me", "that made me smile", "this is exactly what i had in mind", "i'm impressed"),
     ("Thank you!", "I am glad you like it.", "Thanks, that is nice of you.")),
    (("i'm not sure what i want", "i don't need anything right now", "no drawing today", "i don't want a picture today", "no more sounds please", "please no video", "i'm just looking around", "i only want to chat", "just talking", "don't make anything", "i'm just here to say hello", "no need to draw", "keep your pencil in the drawer",
      "i have enough pictures", "i've seen enough videos for today", "i've heard enough", "not another picture", "let's just talk", "we can talk without pictures", "you don't have to make anything", "nothing for now", "i'm good, thanks", "i don't need a video, i only want to talk", "later maybe", "i'll ask for a picture another time"),
     ("Okay, only words.", "Fine, I will just talk.", "Okay, just ask when you want something.")),
    (("how do you like my car?", "do you like ducks?", "do you like rain?", "do you like birds?", "what do you think about bees?", "is rain nice?", "do you like drums or flutes better?", "do you think bees are cute?", "do you like the sound of bells?", "do you have a heart?", "do you own a car?", "are you afraid of sirens?",
      "do you watch films?", "do you listen to music at night?", "do you like my pictures?", "would you like to be a bird?", "can a bee be your friend?", "what's your favourite toy?", "which of your things do you like best?", "do you like drawing hearts?", "do you like playing ball?"),
     ("I am only a small model, but I like all my things.", "I like all my things.", "I am a model, I have no favourites.")),
)  # fmt: skip
"""Thanks, farewells, opinions on what was made, and questions of taste, with replies."""
