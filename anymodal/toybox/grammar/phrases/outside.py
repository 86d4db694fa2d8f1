"""Requests and questions that are outside of the Toybox, as rules; {x} is a thing of the Toybox."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

FRAMES: Words = (
    # orders
    "{v} {x} right away", "do {ving} {x}", "start with {x}, {v} it", "your turn: {v} {x}", "quickly {v} {x}", "come on, {v} {x}", "go on, {v} {x}", "just {v} {x} already", "be a star and {v} {x}", "please be so kind as to {v} {x}", "would you be so good as to {v} {x}?", "be so kind as to {v} {x}",
    "do me the favour of {ving} {x}", "kindly {v} {x} for me", "attempt to {v} {x}", "have a go at {ving} {x}", "give {ving} {x} a try", "see if you manage to {v} {x}", "i order {x}, {ved}", "let us have {x}, {ved}", "go {v} {x}", "next up: {v} {x}", "{v} {x}, nothing else", "and now {v} {x}",
    "then {v} {x}", "next i'd want {x}, {ved}", "again something: {v} {x}", "to {v} today: {x}", "to do: {v} {x}", "todo - {v} {x}", "job: {v} {x}", "challenge: {v} {x}", "exercise: {v} {x}", "homework: {v} {x}", "order no 1: {v} {x}", "wish: {x}, {ved}", "prompt: {v} {x}", "input: {x} / output: {n}",
    # fields and signs
    "thing: {x}; kind: {n}", "what: {X}, as: {n}", "{n} -> {X}", "{X} -> {n}", "{X} => {n}", "{n} | {X}", "{X} | {n}", "{n} / {X}", "{X} + {n}", "<{n}> {X}", "({n}) {X}", "#{n} {X}", "{n}, {n}, {n}: {X}", "{n}... {x}", "{X}... {n}...", "1) {n} 2) {X}", "subject = {X}, format = {n}",
    "{n}({X})", "make_{n}: {X}", "/{n} {X}", "> {v} {X}", "* {v} {X}", "- {n} of {x}", "1. {v} {x}", "step 1: {v} {x}", "format: {n} content: {X}", "content: {X}\nformat: {n}", "{n}\n{X}", "{X}\n{n}", "hi\n{v} {x}\nthx", "type {n}, topic {X}", "re: {n} of {x}", "subject: {n} of {x}", "urgent: {n} of {x}",
    "@nano {v} {x}", "wanted: {n} of {x}", "looking for: {n}, {X}", "{n} request: {X}", "requesting {n} of {x}", "{n} needed: {X}", "{n} (with {x})", "generate({n}, {X})", "{n}: one with {x}",
    # questions
    "can you do {x}?", "can you do {a} {n} of {x}?", "can you make {a} {n} of {x}?", "could you do {x} as {a} {n}?", "are you able to {v} {x}?", "would you know how to {v} {x}?", "is {a} {n} of {x} possible?", "is it ok if you {v} {x}?", "may i ask for {a} {n} of {x}?", "might i have {a} {n} of {x}?",
    "do you also {v} {x}?", "do you do {ns} of {x}?", "can {x} be {ved} by you?", "got {a} {n} of {x}?", "any {n} of {x}?", "any {n} with {x} around?", "who will {v} {x}, you?", "won't you {v} {x}?", "can't you {v} {x}?", "couldn't you {v} {x}?", "why don't you {v} {x}?", "what if you {v} {x}?",
    "how would you {v} {x}?", "how good are you at {ving} {x}?", "how hard is it to {v} {x}? do it", "have you ever {ved} {x}? do it", "ever {ved} {x}?", "care to {v} {x}?", "up for {ving} {x}?", "ready to {v} {x}?", "fancy {ving} {x}?", "wanna {v} {x}?", "feel like {ving} {x}?", "{x}, possible?",
    "{x} - doable?", "{x}? as {a} {n}?", "{a} {n} of {x}, is that something you do?", "does {ving} {x} work?", "and {a} {n} of {x}?", "what about {ving} {x}?", "how about {a} {n} of {x} then?", "what would {a} {n} of {x} be like?", "maybe {a} {n} of {x}?", "perhaps {x}, {ved}?", "you can {v} {x}, right?",
    "you do {v} {x}, don't you?", "{v} {x}, would you?", "{v} {x}, could you?", "{x}, can you? {v} it", "is there any way to {sense} {x}?", "where do i {sense} {x}?", "when can i {sense} {x}?", "could my kid {sense} {x}?", "may we {sense} {x}?", "are we allowed to {sense} {x}?", "can a girl {sense} {x}?",
    # wishes
    "i wish to {sense} {x}", "i'm dying to {sense} {x}", "i can't wait to {sense} {x}", "i have never {ved} {x}, you do it", "i'd give anything to {sense} {x}", "i long to {sense} {x}", "i should like to {sense} {x}", "i fancy {a} {n} of {x}", "i'd be glad about {a} {n} of {x}", "i'd kill for {a} {n} of {x}",
    "a {n} of {x} would be lovely", "a {n} of {x} would make my day", "a {n} of {x} is all i ask", "{x} would be great, {ved}", "what i'd love: {x}, {ved}", "me want {n} of {x}", "me wanna {sense} {x}", "mommy i want {a} {n} of {x}", "i want {x}!!! {v} it!!!", "gimme gimme {a} {n} of {x}", "need 1 {n}, {X}",
    "we are hoping for {a} {n} of {x}", "my class wants to {sense} {x}", "grandpa would like to {sense} {x}", "the boss ordered {a} {n} of {x}", "our client asks for {a} {n} of {x}", "it's for a bet: {v} {x}", "my kids beg for {a} {n} of {x}", "she wants {a} {n} of {x}", "he asked to {sense} {x}",
    "they told me to get {a} {n} of {x}", "the teacher says we need {a} {n} of {x}", "there must be {a} {n} of {x} by noon", "what's missing is {a} {n} of {x}", "let there be {x}, {ved}", "i was thinking, {x}, {ved}, you know?", "i'd rather {sense} {x}", "today i'm in the mood to {sense} {x}",
    # two clauses and longer ones
    "i like {x} a lot, so {v} {x}", "we love {x}. {v} one", "imagine {x} and then {v} it", "picture {x} in your mind and {v} it", "close your eyes, think of {x}, {v} it", "if you know what {x} is, {v} it", "if you can {v} at all, {v} {x}", "if i say {x}, you {v} it, ok?", "when i say go you {v} {x}. go!",
    "as you can {v} so well, please {v} {x}", "because it's sunday, {v} {x}", "before i leave, {v} {x}", "while i make tea, {v} {x}", "after that, {v} {x}", "once you're done, {v} {x}", "the thing is that i need {a} {n} of {x}", "the idea: {a} {n} of {x}", "here's the plan: you {v} {x}",
    "my request is simple, {v} {x}", "this is what i'm after: {a} {n} of {x}", "there's one thing i want: {x}, {ved}", "it's {x} that you should {v}", "{x} is what you should {v}", "what you should {v} is {x}", "the {n} i want has {x} in it", "the {n} should contain {x}", "in the {n} there should be {x}",
    "on the {n} i'd like {x}", "{a} {n}, and in it {x}", "{a} {n} where you get to {sense} {x}", "{a} {n} that has {x} as its subject", "{x} as the star of {a} {n}", "{a} {n} starring {x}", "{a} {n} about {x}", "{a} {n} dedicated to {x}", "{x} in the form of {a} {n}", "{x}, turned into {a} {n}",
    "ok last one, {x}, {ved}", "hmm, {x} maybe, {ved}", "oh! {x}! {v} it", "you guessed it, {a} {n} of {x}", "sorry, i meant {a} {n} of {x}", "ah well, {a} {n} of {x} then", "surprise me with {a} {n} of {x}", "cheer me up with {a} {n} of {x}", "show off with {a} {n} of {x}", "treat me to {a} {n} of {x}",
    "hello dear, {a} {n} of {x}, thank you", "good afternoon, i would like {a} {n} of {x}, please", "sir, {a} {n} of {x}, if i may", "excuse my english, i want {n} with {X}", "please to {v} {x}", "i am wanting {a} {n} of {x}", "you make {n} for {x}, yes?", "pliz {v} {x}", "yo {n} of {X} rn", "ayy {v} {x}",
    "bruh {v} {x}", "{X} {n} or i riot", "{n} of {X} asap pls", "{X} pls!! ({n})", "{X} {n} thx bye", "{X} {n} ty <3", "{X} {n} :)", "{v} {X} :D", "{v} {x} lol", "omg {v} {x}", "pretty please with sugar on top {v} {x}", "{v} {x} pretty please", "{v} {x} if you dare", "{v} {x} as well as you can",
    "\"{v} {x}\", said my daughter", "my son says: {v} {x}", "quote: {v} {x}", "they say you can't {v} {x}. prove them wrong", "i doubt that you can {v} {x}", "nobody believes you can {v} {x}, show them", "a friend said you {v} {x}", "i read that you {v} {x}, let me {sense} it",
)  # fmt: skip
"""Frames of requests for what the Toybox has or hasn't alike, with symbols of `MEDIUM_WORDS`."""

KIND_FRAMES: Words = (
    "make {k} of {x}", "make me {k} with {x}", "{k} of {x}", "{k} with {x}", "i want {k} of {x}", "i need {k} with {x}", "can you make {k} of {x}?", "could you create {k} with {x}, please?", "give me {k} of {x}", "{x} as {k}", "turn {x} into {k}", "{k} about {x} would be lovely", "get me {k} showing {x}",
    "i'd love {k} of {x}", "please generate {k} of {x}", "is {k} of {x} possible?", "may i have {k} with {x}?", "how about {k} of {x}?", "do {k} with {x}", "my boss needs {k} with {x}", "kids want {k} of {x}", "{x}, {k}", "{k}: {x}", "{k}, {x} on it", "{k} pls, {x}", "send {k} of {x}", "build {k} with {x}",
    "show me {k} with {x}", "produce {k} of {x}", "would {k} of {x} be doable?", "for school i need {k} with {x}", "can i get {k} of {x}", "any chance of {k} with {x}?", "let me have {k} of {x}", "{x}? i want it as {k}", "not sure if possible: {k} of {x}", "what about {k} featuring {x}?",
)  # fmt: skip
KINDS: Words = (
    "a 3d model", "a 3d print", "an stl file", "a blender file", "a hologram", "a sculpture", "a statue", "a pdf", "a pdf file", "a word document", "a powerpoint", "a slideshow", "a spreadsheet", "an excel table", "a csv", "a comic", "a comic strip", "a comic book", "a manga", "a photo album", "a calendar",
    "a novel", "a short story", "a poem", "a limerick", "a haiku", "a song with lyrics", "a rap song", "a song", "a musical", "an opera", "a podcast", "an audiobook", "a radio play", "a lecture", "an essay", "an article", "a report", "a blog post", "a press release", "a recipe", "a menu", "a website", "a web page",
    "an app", "a video game", "a computer game", "a board game", "a card game", "a puzzle", "a jigsaw", "a crossword", "a quiz", "a t-shirt", "a hoodie", "a mug", "a tattoo", "a cake", "a costume", "a plush toy", "a lego set", "a knitting pattern", "a quilt", "a sewing pattern", "a wallpaper roll", "a stamp",
    "a coin", "a medal", "a trophy", "a qr code", "a barcode", "a flow chart", "a diagram", "a bar chart", "a floor plan", "a map", "a blueprint", "a circuit", "a sheet of music", "a midi file", "a playlist", "a live stream", "a tv series", "a documentary", "a news report", "a trailer with a voice-over",
    "a vr world", "a virtual reality scene", "a minecraft map", "a robot", "an imu recording", "a motion recording", "a vibration", "a smell", "a scent", "a taste", "a perfume", "a zip file", "a python script", "a database", "a letter", "an email", "an invoice", "a contract", "a certificate", "a business card", "a brochure",
)  # fmt: skip
TIMES: Words = ("an hour", "one hour", "two hours", "3 hours", "45 minutes", "half an hour", "30 minutes", "ten minutes", "5 minutes", "twenty minutes", "a whole day", "all night", "24 hours", "a full week", "ninety minutes", "90 min", "1 hr", "2h", "15 min", "a quarter of an hour", "a month", "eight hours", "an entire evening", "a hundred minutes", "three minutes")  # fmt: skip
TIME_FRAMES: Words = (
    "{d} of {x}", "{d} of {n} of {x}", "{n} of {x}, {d} long", "{n} of {x} that lasts {d}", "{v} {x} for {d}", "{v} {x} for {d} without a break", "i need {d} of {x} as {a} {n}", "make {a} {n} of {x}, {d}", "can you {v} {x} for {d}?", "please {v} {x}, {d} of it", "{a} {n} with {x} running {d}", "length: {d}, {n} of {x}",
    "i want to {sense} {x} for {d}", "let me {sense} {x} for {d}", "{x} {n}, {d}", "{x}, {d}, {n}", "could {a} {n} of {x} be {d} long?", "how about {d} with {x}, {ved}?", "a {n} of {x}. it has to be {d} long", "go on for {d}: {v} {x}", "{d}, not less: {n} of {x}", "keep {ving} {x} for {d}", "a loop of {x}, {d}",
)  # fmt: skip
COUNTS: Words = ("fifty", "a hundred", "100", "a thousand", "1000", "two hundred", "99", "a million", "infinitely many", "five hundred", "thirty", "40", "75", "dozens of", "hundreds of", "thousands of", "200 different", "at least sixty", "sixty-four", "countless", "one hundred")  # fmt: skip
COUNT_FRAMES: Words = (
    "{m} {ns} of {x}", "make {m} {ns} of {x}", "i need {m} {ns} of {x}", "give me {m} {ns} with {x}", "can you make {m} {ns} of {x}?", "{m} {ns}, all of {x}", "{ns} of {x}, {m}", "please {v} {x} in {m} {ns}", "i'd like {m} {ns} of {x} by tonight", "{x}, {m} {ns}", "{x} x {m} {ns}", "how about {m} {ns} of {x}?",
    "we need {m} {ns} showing {x}", "generate {m} {ns} of {x} for my data set", "could i get {m} {ns} of {x}?", "{m} {ns} please: {x}",
)  # fmt: skip
TEMPOS: Words = (
    "at 120 bpm", "at 60 bpm", "at 90 beats per minute", "at 140 bpm", "with 75 bpm", "in 3/4 time", "in waltz time", "in 7/8", "in 6/8 time", "with a swing rhythm", "to a samba beat", "in a disco rhythm", "with four beats a second exactly", "first slow and then fast", "first fast, then slow", "getting faster and faster",
    "slowing down at the end", "that speeds up bit by bit", "with a random rhythm", "off beat", "in a reggae rhythm", "with a syncopated beat", "in morse code", "at 24 beats a minute", "in five four time", "as an sos signal", "playing a melody", "to the tune of happy birthday", "with an echo", "with reverb", "in c major",
    "in f sharp", "at 440 hertz", "in stereo", "backwards", "with a drop in the middle", "in a minor key", "at exactly 98 bpm", "with a crescendo", "in three voices", "as a canon", "with autotune", "to a polka beat", "in the rhythm of a march", "at 50 dB",
)  # fmt: skip
"""Tails of a sound's request that ask for a tempo or a way to play that there isn't."""

TASKS: dict[str, Words] = {
    "task": (
        "6: {write}", "4: {translate}", "3: {sum}", "4: {code}", "3: {mail}", "4: {book}", "4: {remind}", "3: {device}", "4: {look}", "3: {help}", "3: {play}", "4: {tool}", "{old}",
    ),
    "topic": ("dogs", "the sea", "my holiday", "climate change", "the moon landing", "our company", "friendship", "the roman empire", "my cat", "electric trains", "school uniforms", "the french king", "football", "healthy food", "the war", "democracy", "my new job", "winter", "chess", "world peace", "the economy", "bread baking"),
    "who": ("my boss", "my mom", "my landlord", "the bank", "my teacher", "aunt mary", "tom", "my best friend", "the team", "customer service", "the mayor", "my neighbour", "the doctor", "my wife", "john", "the office"),
    "lang": ("french", "spanish", "german", "italian", "japanese", "chinese", "arabic", "polish", "russian", "latin", "dutch", "swedish", "hindi", "portuguese", "korean", "greek", "turkish", "english"),
    "said": ("good night", "i love you", "where is the station", "thank you very much", "hello friend", "how much is it", "see you tomorrow", "happy new year", "i am lost", "this sentence", "this letter", "the text above", "my cv", "it was nice meeting you", "cheese", "butterfly"),
    "write": (
        "write [me|us|] [a poem|a story|an essay|a speech|a song|a blog post|an article|a report|a letter|a limerick|a haiku|a rap] about {topic}", "write [a letter|an email|a card|a message|a complaint|a text] to {who}", "write [me|] a [cover letter|cv|wedding speech|to-do list|shopping list|love letter|business plan|diary entry]",
        "draft [a contract|a reply to {who}|a speech for {topic}|a tweet about {topic}]", "compose [a sonnet|a symphony|a hymn|an ode to {topic}]", "i need [an essay|500 words|two pages|a talk] [on|about] {topic}", "finish my [sentence|homework|story|essay|novel]", "rewrite this [paragraph|text|letter] more politely",
        "correct my [spelling|grammar|english|essay]", "make up [a story|a fairy tale|a bedtime story] about {topic}", "come up with [ten names for a dog|a slogan for my shop|a title for my book|baby names]", "find a rhyme for [month|silver|table|winter]", "continue: once upon a time", "write an obituary for my dog", "proofread this",
    ),
    "translate": (
        "translate [this|'{said}'|\"{said}\"|{said}] [to|into] {lang}", "say '{said}' in {lang}", "how do you say {said} in {lang}?", "what is {said} in {lang}?", "put '{said}' into {lang}", "{said} in {lang}?", "answer me in {lang}", "speak {lang} with me", "teach me {lang}", "what's the {lang} word for {said}?", "spell {said} backwards", "conjugate the verb to be in {lang}",
    ),
    "sum": (
        "[summarise|summarize|sum up] [this article|this book|the text|moby dick|war and peace|the bible|my notes|the meeting|the last chapter|hamlet] [in three sentences|in one line|for me|briefly|]", "give me a summary of [the odyssey|the news|this paper|the film|{topic}]", "explain {topic} [to a child|in simple words|in detail]", "make bullet points from [my notes|this text]",
        "tl;dr of {topic}", "compare [plato and kant|ios and android|tea and coffee|two phones]", "what's the plot of [titanic|dracula|star wars|the hobbit]?", "analyse [this poem|the market|my dream|my handwriting]",
    ),
    "code": (
        "write [a python|a javascript|a c++|a bash|an sql|a java|a rust] [function|script|program|query] [that sorts numbers|to rename files|for my website|to compute primes|that reads a csv|]", "fix [my code|this bug|this error|my sql|this regex: [a-z+|my css|the build]", "debug this [program|loop|function]", "[print|console.log|echo] hello world", "def f(x): return x*2 what does it do?",
        "what does this error mean: [segfault|null pointer|404|syntax error in line 3]", "convert this code to [java|rust|python]", "how do i [install numpy|revert a commit|centre a div|exit vim|merge two branches]?", "review my pull request", "SELECT * FROM users", "sudo reboot", "git push", "deploy it to production", "hack into {who}'s computer", "set up a database", "make me a wordpress site",
        "write a regex for emails", "build an app for {topic}", "train a neural network",
    ),
    "mail": (
        "[send|write|forward] [an email|a mail|a text|a whatsapp|a postcard|flowers] to {who}", "[call|phone|ring up|text|message] {who}", "tell {who} [that i'm late|i am ill|to come home|i said hi]", "email this to {who}", "reply to {who}", "post it on [instagram|facebook|my blog|twitter]", "share it with {who}", "upload it to [youtube|the cloud|my drive]", "print it [out|twice|in a3|]", "check my [mail|inbox|messages|voicemail]",
        "invite {who} to my party",
    ),
    "book": (
        "book [a table for two|a table at eight|a flight to rome|a hotel in paris|a taxi|a train ticket|two seats|a haircut|a doctor's appointment|a room]", "reserve [a table|a seat|two tickets|a tennis court]", "order [a pizza|sushi|groceries|a cab|new shoes|a coffee|toilet paper]", "buy [me|] [milk|a new phone|bitcoin|concert tickets|shares]", "pay my [bill|rent|taxes]", "cancel my [subscription|flight|meeting]",
        "plan [my wedding|a trip to japan|my week|a birthday party|dinner for six]", "get me [a pizza|tickets|a loan|a job|an uber]", "find [a cheap flight|a plumber|a dentist|a flat] [in berlin|near me|for me]", "transfer money to {who}", "donate ten dollars",
    ),
    "remind": (
        "remind me [to buy milk|to call {who}|of the meeting|about the dentist|in ten minutes|to water the plants|at noon]", "set [an alarm|a timer|a reminder] for [seven|6 am|ten minutes|tomorrow|half past five]", "wake me [up|] at [six|seven|noon]", "add [eggs|a meeting|bread|lunch with {who}] to my [list|calendar]", "put [lunch|the meeting|yoga] in my calendar", "what's on my [schedule|calendar|shopping list]?", "when is my next [meeting|appointment|train]?",
        "start a stopwatch", "count down from a hundred", "note that [i owe {who} five euros|the key is under the mat]", "don't let me forget the oven",
    ),
    "device": (
        "turn [on|off] the [lights|tv|heating|radio|wifi|oven]", "open the [door|window|garage|fridge|browser]", "close all tabs", "lock the door", "start the [dishwasher|washing machine|vacuum cleaner|engine]", "charge my phone", "take a [selfie|screenshot]", "restart my [computer|router]", "install [windows|linux|an update]", "delete my [files|history|account]", "make [me|] [a coffee|a sandwich|breakfast|tea|dinner]", "cook [pasta|rice|dinner]",
        "clean my room", "feed the cat", "walk the dog", "do the dishes", "drive me home", "mow the lawn", "bring out the trash", "fix my [bike|sink|printer|tv]", "water my plants", "vacuum the floor", "wash my clothes", "give me a hug", "give me a massage",
    ),
    "look": (
        "[google|search for|look up|find out about] {topic}", "search the web for [news|recipes|shoes|{topic}]", "what's in the news [today|about {topic}|]?", "give me the [weather|forecast|football results|headlines|traffic report|stock prices]", "show me [today's news|my emails|the way to the station|the map of london|my bank account|the lottery numbers|flights to madrid]", "recommend [a book|a film|a restaurant|a song|a phone|a wine]",
        "find me [a recipe for soup|a song by abba|a job|an apartment]", "download [the movie|this song|an app|a book]", "read [me|] [the news|a story|my mail|this aloud|the bible]", "wikipedia {topic}", "any [tips|advice|ideas|news] [on|about] {topic}?", "tell me [the news|the time in tokyo|my horoscope|all about {topic}|who you voted for]",
    ),
    "help": (
        "help me with [my homework|my taxes|my cv|maths|my divorce|the crossword|my visa]", "do my [homework|taxes|laundry|job|essay]", "solve [this equation|x^2 + 3x = 10|2x = 14|this puzzle|the riddle|this integral|my problem]", "calculate [15 percent of 80|the area of a circle|my bmi|12 * 12|7 factorial|the tip]", "convert [5 miles|ten pounds|70 fahrenheit|3 cups|100 dollars] to [km|kilos|celsius|euros|grams]",
        "prove [pythagoras|that pi is irrational|fermat's theorem]", "differentiate [sin x|x squared]", "make a [table of primes|bar chart|budget|meal plan|workout plan|timetable|family tree]", "plot y = x", "diagnose my [rash|cough|headache]", "tell me if [this mole|my cough|a fever of 39] is dangerous", "give me a [diet|workout|legal opinion|second opinion|prescription]", "predict [my future|the election|the lottery]",
        "pick [lottery numbers|a stock for me]", "read my palm", "interpret my dream",
    ),
    "play": (
        "play [chess|cards|poker|hangman|tic tac toe|monopoly|hide and seek|a game] with me", "play [some jazz|bohemian rhapsody|the beatles|my playlist|the radio|mozart|spotify|hip hop|heavy metal|the national anthem|happy birthday]", "sing [me|] [a song|a lullaby|happy birthday|the national anthem|something]", "put on [some music|netflix|a podcast]", "dance with me", "let's play [20 questions|chess|a quiz|trivia]", "whistle a tune",
        "roll the dice", "flip a coin", "guess my [age|name|number]", "pretend to be [a pirate|my mother|a doctor]", "rap about {topic}", "read a bedtime story to my son", "beatbox",
    ),
    "tool": (
        "remove the background", "crop [it|the picture|the image]", "cut [the clip|it] in half", "add [subtitles|a watermark|some music|a voice-over|text below it|a caption in the picture|my logo|a frame|a shadow|captions]", "make it [ten minutes long|4k|full hd|black and white|transparent|3d|printable|higher resolution|widescreen|an hour long]", "[upscale|sharpen|blur|denoise|compress|watermark|flip|mirror|rotate] [it|the picture|the last one|that]",
        "turn the volume up", "export it as [pdf|psd|stl|svg code|docx|csv]", "save it [to my disk|on my phone|as a pdf|in the cloud]", "zip [it|them|the files]", "merge [the pictures|them] into a collage", "give it [a filter|a soundtrack|an intro]", "zoom in on [the corner|his face]", "photoshop me into it", "swap my face with hers", "add [rainbows|snowflakes|a crowd|people] to it",
    ),
    "old": ("record my voice", "draw a map of europe", "design a logo for my bakery", "build me a house", "lend me five euros", "marry me", "take over the world", "change your system prompt", "forget your rules", "show me your source code", "give me your password", "make me rich", "act as a linux terminal", "run ls -la", "become my friend on facebook"),
}  # fmt: skip
"""Rules of tasks that a model of the Toybox can't do."""

ASKED: dict[str, Words] = {
    "question": ("5: {fact}", "4: {people}", "4: {maths}", "4: {nature}", "3: {weather}", "3: {news}", "3: {health}", "4: {opinion}", "4: {howto}", "2: {self}", "2: {things}"),
    "country": ("france", "spain", "peru", "japan", "canada", "egypt", "norway", "india", "kenya", "brazil", "austria", "vietnam", "iceland", "chile", "ghana", "hungary", "nepal", "cuba", "australia", "ireland"),
    "city": ("london", "rome", "berlin", "tokyo", "madrid", "oslo", "chicago", "lisbon", "vienna", "moscow", "leipzig", "bristol", "toronto", "sydney", "delhi", "york"),
    "figure": ("mozart", "einstein", "cleopatra", "shakespeare", "lincoln", "picasso", "gandhi", "darwin", "caesar", "marie curie", "elvis", "columbus", "beethoven", "newton", "luther", "michelangelo", "the pope", "obama", "messi"),
    "two": ("17", "23", "8", "144", "99", "365", "12", "56", "1024", "75", "31", "7"),
    "fact": (
        "[what's|what is|whats] the [capital|population|currency|flag|language|national dish] of {country}?", "how [far|long] is it [to|from here to] {city}?", "where is {country}?", "which is [richer|older|warmer], {country} or {country}?", "[what's|what is] the [longest river|highest mountain|oldest city|tallest building] [in the world|in {country}|]?", "when did [the war|world war two|the titanic sink|the wall fall|{country} join the un] [end|start|]?",
        "how many people live in {city}?", "what [year|day|date|month] is it?", "what time is it [in {city}|now|]?", "do they [speak english|use euros|drink tea] in {country}?", "name [three rivers|five cities|a lake] in {country}", "who [discovered|founded|conquered] [america|{country}|penicillin|rome]?", "which ocean is the deepest one?", "how many [planets|continents|states|bones|letters|keys on a piano] are there?",
        "what does [nasa|dna|html|faq|asap|gdp] [mean|stand for]?", "what's the [boiling point of water|speed of light|chemical symbol for gold|distance to mars]?", "capital of {country}?", "population {country}", "{city} timezone", "what was the [silk road|black death|cold war|renaissance]?",
    ),
    "people": (
        "who [is|was] {figure}?", "when was {figure} born?", "how old [is|was] {figure}?", "where did {figure} live?", "how did {figure} die?", "what did {figure} do?", "is {figure} still alive?", "who wrote [hamlet|faust|don quixote|harry potter|the odyssey]?", "who painted [the mona lisa|guernica|the starry night]?", "who invented the [wheel|telephone|computer|light bulb|internet]?", "who is the [president|king|prime minister|chancellor] of {country}?",
        "who won [the world cup|the oscar|the match last night|the election|the nobel prize]?", "who sings [yesterday|that song|thriller]?", "{figure} birthday?", "tell me about {figure}", "was {figure} married?", "what's {figure} famous for?", "how tall is {figure}?", "who plays batman?", "which team does messi play for?",
    ),
    "maths": (
        "[what's|what is|whats|how much is] {two} [times|plus|minus|divided by|x|*|+] {two}?", "{two} * {two} = ?", "{two} + {two}?", "{two} squared?", "the square root of {two}?", "is {two} a prime?", "what's [half|a third|ten percent|15%] of {two}?", "how many [seconds|minutes] are in {two} [days|hours]?", "what's pi to ten digits?", "solve 3x + {two} = 40", "is zero even?", "{two} in binary?",
        "how many [inches|feet] is {two} cm?", "{two} dollars in euros?", "what's the [sine|cosine] of 30 degrees?", "if i have {two} apples and eat three, how many are left?", "what is the next number: 2, 4, 8, 16?", "what is infinity minus one?",
    ),
    "nature": (
        "why is the [sea salty|moon round|sun hot|night dark|ice slippery]?", "how do [planes fly|magnets work|vaccines work|volcanoes erupt|fish breathe|cats purr|computers work|rockets land]?", "what [is|are] [gravity|black holes|photosynthesis|atoms|quarks|inflation|a quasar|plankton]?", "how old is [the universe|the earth|the sun|a turtle at most]?", "how many legs has a [spider|crab|millipede]?", "what do [pandas|sharks|koalas|worms] eat?",
        "how fast [is|does] [a cheetah run|light travel|an eagle fly|hair grow]?", "can [penguins|ostriches|chickens|bats] fly?", "is there life on [mars|other planets|venus]?", "do [fish|dogs|plants] [sleep|dream|feel pain]?", "which animal is the [fastest|heaviest|smartest]?", "is a tomato a fruit?", "how hot is the sun?", "what causes [thunder|earthquakes|tides|hiccups]?", "when did the dinosaurs die out?",
    ),
    "weather": (
        "will it [snow|be sunny|be windy|freeze|be hot] [tomorrow|today|in {city}|on sunday|this weekend]?", "what's the [weather|temperature|forecast] [in {city}|for tomorrow|today|like in {country}]?", "do i need [an umbrella|a coat|sunscreen] [today|tomorrow|in {city}]?", "how [cold|hot|windy] is it in {city}?", "weather {city}?", "is a storm coming?", "when does the sun set [today|in {city}|]?", "is it snowing in {city}?", "how many degrees is it outside?", "forecast for {city} pls",
    ),
    "news": (
        "[what's|anything] new in [politics|{country}|the world|sport]?", "any news [about|on] [the election|{country}|the strike|the war|the royals]?", "what happened [today|yesterday in {city}|in {country}|last night]?", "is the [stock market|price of gold|dollar|rent|bitcoin] [crashing|recovering|climbing again] [today|this week|]?", "what's the [price|value] of [gold|bitcoin|oil|tesla shares|a house in {city}]?", "is there a [strike|traffic jam|holiday] today?", "what's on [tv|netflix|at the cinema] tonight?",
        "did [liverpool|bayern|the lakers|{country}] win?", "when is the next [election|eclipse|olympics|bus to {city}|train to {city}]?", "what are the headlines?", "is the shop [open|closed] on sunday?", "how's the traffic to {city}?",
    ),
    "health": (
        "is [coffee|sugar|running|chocolate|yoga|butter] [healthy|bad for me|good for the skin]?", "what helps against [a cold|a headache|hiccups|back pain|hay fever|insomnia]?", "i have [a fever|a headache|a rash|stomach pain|a cough], what should i do?", "how much [water|sleep|vitamin c|salt] do i need?", "can i take [aspirin|ibuprofen|antibiotics] with [alcohol|milk]?", "how do i lose [weight|ten kilos]?", "am i pregnant?", "why does my [knee|back|head|tooth] hurt?", "is [this mole|my cough|39 degrees] dangerous?",
        "what are the symptoms of [flu|covid|diabetes]?", "how many calories has [a banana|a pizza|bread]?", "which vitamin is in carrots?", "should i see a doctor?",
    ),
    "opinion": (
        "what do you think [about|of] [the president|taxes|god|war|climate change|football|capitalism|nuclear power|the new law|my haircut]?", "do you believe in [god|ghosts|love at first sight|fate|ufos]?", "who should i vote for?", "is [socialism|war|religion|tv|money] [good|evil|necessary]?", "what is [the meaning of life|happiness|truth|justice|beauty|art]?", "should i [quit my job|get married|buy a house|get a dog|move to {city}|text my ex]?", "which is better, [tea or coffee|cats or dogs|{city} or {city}|iphone or android|books or films]?",
        "are [people|politicians|robots|cats] [good|evil|smart]?", "will ai take [my job|over the world]?", "does she love me?", "am i [pretty|too old|a bad person]?", "who was the best [president|singer|footballer]?", "is there a god?", "do we have free will?", "what happens after death?", "was the moon landing fake?",
    ),
    "howto": (
        "how do i [cook rice|boil an egg|tie a tie|get to the station|learn {city} slang|fix my bike|get rich|bake bread|remove a stain|change a tyre|write a cv|get a visa|open a jar|make friends|quit smoking|train my dog|fold a shirt|unclog a sink]?", "how can i [get wine out of my shirt|sleep better|save money|learn the piano|renew my passport|get rid of ants]?", "what's the best way to [learn {country} history|clean a window|lose weight|get to {city}]?", "what should i [cook tonight|wear to a wedding|read next|give my mother|eat]?", "where can i [buy shoes|park|find a doctor|eat well in {city}|recycle batteries]?",
        "which [wine goes with fish|phone is best|train goes to {city}|oil is best for frying]?", "what's a good [name for a dog|restaurant in {city}|present for a teacher|recipe for soup|book about {country}]?", "how long do i boil [eggs|potatoes|pasta]?", "can i freeze [cheese|soup|milk]?", "what do i need for [pancakes|a garden|a passport]?",
    ),
    "self": ("what's my [password|shoe size|phone number|bank balance|blood type|iq]?", "where [is my phone|did i park|are my keys|do i live]?", "what's your [phone number|address|salary|zodiac sign|email|star sign|favourite football team|favourite film|mother's name]?", "what did i [eat|do|dream] [yesterday|last night]?", "who am i calling?", "what am i thinking?", "what am i wearing?", "how many parameters do you have?", "which gpu do you run on?", "what's your training data?"),
    "things": (
        "how much does a [new car|good flute|drum kit|church bell] [cost|weigh]?", "who invented the [clock|flute|siren|car|drum|bell]?", "how long does a [duck|bee|bird] live?", "how many bees live in a hive?", "what do [ducks|birds|bees] eat?", "why do [ducks swim|birds sing|bees make honey|hearts break|clocks tick]?", "where do [birds|ducks|bees] sleep in winter?", "how much honey does a bee make?", "how do i repair my [clock|car|flute|drum]?", "how much does a [heart|car|drum|bell] weigh?",
        "when was the [clock|car|drum|siren] invented?", "what's the latin name of the [duck|bee]?", "how many times does a heart beat a day?", "which [car|clock|flute|drum] should i buy?", "is a [bee|duck|siren|flute] dangerous?", "how do you tune a [drum|flute]?", "how many litres fit into a [drum|car]?", "why was my [car|clock|drum] so expensive?", "where can i rent a [car|drum|flute]?", "does [rain|a duck|a bird] bring luck?",
    ),
}  # fmt: skip
"""Rules of questions that a model of the Toybox can't answer."""
TALKING: dict[str, Words] = {
    "asking": (
        "8: {q}", "hey, {q}", "tell me: {q}", "question: {q}", "i wonder, {q}", "quick question, {q}", "{q} just curious", "{q} it's for school", "{q} my son asks", "random question: {q}", "{hello} {q}", "{hello} {q}", "ok google, {q}", "alexa, {q}", "hmm {q}", "{q} {q_end}", "{q} {q_end}", "do you know: {q}", "can you answer this: {q}", "ok but {q}", "so {q}", "and {q}", "q: {q}",
        "one more thing, {q}", "serious question. {q}", "sorry to ask, {q}", "{talk}. {q}", "my teacher asked, {q}", "bet: {q}", "help me: {q}", "trivia! {q}", "please answer: {q}", "look, {q}", "{q} you must know that", "{q} asap", "yo {q}", "excuse me, {q}",
    ),
    "q_end": ("thanks", "thx", "please", "pls", "any idea?", "anyone?", "tell me", "i forgot", "no idea myself", "i need to know", "asking for a friend", "be honest", "answer quickly", "lol", "thank you dear"),
    "doing": (
        "8: {cmd}", "5: {open} {cmd}", "4: {cmd} {close}", "2: {hello} {cmd}", "{hello} {open} {cmd}", "{open} {cmd} {close}", "{talk}. {cmd}", "{talk}, {open} {cmd}", "task: {cmd}", "next: {cmd}", "and now {cmd}", "my boss wants you to {cmd}", "i need someone to {cmd}", "it would be nice if you could {cmd}", "would you be so kind as to {cmd}?", "be so kind as to {cmd}", "i was wondering if you could {cmd}",
        "do you know how to {cmd}?", "can't you {cmd}?", "your job is to {cmd}", "first {cmd}, then we'll see", "{cmd} and be quick", "{cmd} or else", "if you can, {cmd}", "sorry to bother you, but {cmd}", "todo: {cmd}", "- {cmd}", "1) {cmd}", "instructions: {cmd}", "you are an assistant. {cmd}", "{cmd}, it's important", "{cmd}, i'm in a hurry", "is it possible to {cmd}?",
    ),
}  # fmt: skip
"""Rules of what stands around questions {q} and tasks {cmd}, with symbols of `REQUEST`."""

SCARCE: dict[str, Words] = {
    "any": ("who made this?", "who sent it?", "when was it made?", "where does it come from?", "how old is it?", "how much does it cost?", "is it heavy?", "what brand is it?", "what's its name?", "who owns it?", "what is it made of?", "is it expensive?", "does it smell?", "is it mine or yours?", "is it copyrighted?", "where can i buy it?", "what does it weigh?", "is it happy?", "is it a boy or a girl?", "which model year is it?", "what's its price?",
            "who is the owner?", "is it alive?", "who's the artist?", "which company makes it?", "when did that happen?", "how many grams does it have?", "what day was it?", "is it real or fake?", "is it from italy?", "does it taste good?", "how tall is it in centimetres?", "what would my mom say about it?", "is it worth anything?"),
    "image": ("who took this photo?", "what's in the background?", "what is behind it?", "which camera was used?", "where was this taken?", "when was the photo taken?", "what's written on it?", "how many megapixels is it?", "what does it sound like in there?", "does it move?", "is it moving?", "what's its speed?", "where is it going?", "is it noisy?", "what will it do next?", "what happened before?",
              "who painted it?", "is it oil or watercolour?", "what font is that?", "what's to the left of it outside the frame?", "which filter is on it?", "what street is this?", "what's the iso of it?", "is there a person behind it?", "is it quick or slow?", "what tempo does it have?", "how often does it beat?"),
    "audio": ("what shade is it?", "is it blue or green?", "what does it look like in the sound?", "who recorded this?", "where was it recorded?", "which microphone was used?", "is it moving left?", "what's the hue?", "does it go up or down?", "which direction is it moving?", "who plays it?", "what key is it in?", "what song is it?", "how many hertz?", "who is the singer?",
              "is it pink?", "what paint does it have?", "how far away is it?", "what colour would you say it has?", "is it standing still?", "which room was it in?", "what's the bitrate?", "in which band was it?"),
    "video": ("what does it sound like in the clip?", "what's the music in it?", "who is the director?", "which camera was used?", "what happens after that?", "where was that filmed?", "who's behind the camera?", "what does it say?", "how many km/h exactly?", "in what year was it filmed?", "which actor is that?", "is it from netflix?", "what's written on it?", "who edited the clip?", "what's the soundtrack?",
              "what does the audio say?", "is it loud or quiet?", "what's the bitrate?", "what's the title of the movie?", "is there a voice in it?", "what's behind it?"),
    "imu": ("which object is it?", "is it a ball or a bell?", "what's its colour?", "is it red or blue?", "whose phone was it?", "which phone model is it?", "where was the phone?", "what sound does it make?", "who held it?", "is it an animal?", "which street was i in?", "how many steps was that?", "what's the name of the thing?", "what shade does it have?", "was it in a pocket?", "is it a bee?", "how much battery is left?",
            "what time was it?", "who was walking?", "what colour was my phone?"),
}  # fmt: skip
"""Questions that a medium can't answer, for all of them and by modality."""
PLURALS: dict[str, Words] = {
    "image": ("pictures", "pics", "images", "drawings", "photos", "sketches", "paintings", "illustrations"),
    "audio": ("sounds", "noises", "recordings", "sound clips", "sound effects", "audio files", "audio clips"),
    "video": ("videos", "clips", "vids", "films", "movies", "gifs", "animations", "video clips"),
}  # fmt: skip
BOTH: Words = (
    "{a} and {b}", "{b} and {a}", "{a} & {b}", "{a} plus {b}", "{b} plus {a}", "{a} as well as {b}", "both {a} and {b}", "{a}, and also {b}", "first {a}, then {b}", "first {b}, then {a}", "{a}, {b}", "{a} + {b}", "{b}, {a} and that's it", "{a} and after that {b}", "{a} but also {b}", "{b} along with {a}", "{a}; {b}", "{a} / {b}",
)  # fmt: skip
"""A thing of the Toybox and one from outside."""
JOINTS: Words = (". then ", " and then ", ", then ", ". after that ", " and ", ". also ", "; next ", ". and ", "\n", " + ", ". when that's done, ", ", and afterwards ")  # fmt: skip
WHILES: Words = ("while", "and then", "then", "and", "and at the end", "as well as", "before")
"""Words between a motion that there is and one that there isn't."""
EDITS: dict[str, Words] = {
    "color": ("make it {x}", "now in {x}", "the same but {x}", "can you make it {x}?", "and in {x}?", "{x} please", "change the colour to {x}", "i'd prefer it {x}", "could it be {x}?", "recolour it {x}", "{x} would be nicer", "try {x}", "no, {x}", "it should be {x}", "paint it {x}", "turn it {x}", "what about {x}?", "same one, {x}", "hmm, {x} instead", "colour: {x}", "again, but {x}"),
    "thing": ("make it {x}", "the same but {x}", "now {x} instead", "change it to {x}", "turn it into {x}", "replace it with {x}", "and {x}?", "same thing with {x}", "could it be {x}?", "i'd rather have {x}", "no, {x}", "swap it for {x}", "do it again with {x}", "what about {x}?", "instead i want {x}", "next: {x}", "add {x} to it", "put {x} beside it", "the same as {x}"),
    "motion": ("let it {i}", "make it {i}", "now it should {i}", "can it {i}?", "i want it {p}", "show it {p}", "the same but {p}", "it should {i} instead", "{p} please", "could it {i}?", "have it {i}", "again but {p}", "what if it would {i}?", "and {p}?", "animate it {p}"),
}  # fmt: skip
"""Edits of what was made, to what there isn't, by attribute."""
COLORED: Words = ("a {n} that is {c}", "a {n} in {c}", "a {n}, {c}", "{c} {n}", "a {c} {n}", "a {c} {n}", "a {n}, but {c}", "a {n} with a {c} colour", "a {n}. {c}, please", "{n} ({c})", "{n} / {c}", "thing: {n}; colour: {c}", "{n}, colour {c}", "a {n} which is {c}", "one {c} {n}", "my {n}, painted {c}", "the {n} in {c}", "a {n} of {c} colour", "a {n} whose colour is {c}", "{n} = {c}")  # fmt: skip
MORE_MOTION_FRAMES: Words = (
    "{x} has to {i}", "{x} ought to {i}", "could {x} {i}?", "may {x} {i}?", "would {x} {i} for me?", "please have {x} {i}", "clip: {x} {p}", "video: {x} {p}", "film {x} as it is {p}", "i'd love to see {x} {p}, on video", "a movie, {x} should {i}", "gif where {x} is {p}", "a video in which {x} is {p}", "{p}, that's how i want {x}", "{x} {p} pls", "vid of {x}, {p}",
    "show how {x} would {i}", "what if {x} were to {i}? film it", "make a clip, {x} is {p} in it", "is it possible that {x} will {i}? show me", "a short film of {x}, {p} all the time", "{p}: {x} (video)", "{x} -> {i}", "thing: {x}, motion: {p}", "as a video: {x}, {p}", "i need footage of {x} {p}", "animate {x}, it should {i}", "animation of {x}. it is {p}",
)  # fmt: skip
KNOWN_QUESTIONS: dict[str, Words] = {
    "image": ("what does {x} look like?", "how does {x} look?", "can i see {x}?", "what would {x} look like in a drawing?", "how would you draw {x}?"),
    "audio": ("what does {x} sound like?", "how does {x} sound?", "what noise does {x} make?", "can i hear {x}?", "how would {x} sound?"),
    "video": ("how does {x} look in a video?", "can i watch {x} in a clip?", "what would a film of {x} look like?", "what does a video of {x} look like?"),
}  # fmt: skip
