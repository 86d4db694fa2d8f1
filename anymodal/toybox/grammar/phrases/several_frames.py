"""Rules of several requests in one message, each with a thing of its own.

{do1}, {np2} and so on are the items in the order of the reply, in words of `several_clauses`.
"""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

WORDS: dict[str, Words] = {
    "i_want": ("3: i want", "2: i need", "i'd like", "i would like", "we need", "i'd love", "i wanna have", "give me", "get me", "i'm looking for", "can i have", "let's have"),
    "you": ("can you", "could you", "please", "pls", "would you", "can u", "i want you to", "ok,", "hey,", "could you please", "kindly", "now", "will you", "you should", "let's"),
    "close": ("please", "pls", "thanks", "thx", "now", "for me", "if you can", "ok?", "cheers", "thank you", "asap", "lol", "that's all"),
    "hello": ("hi,", "hey,", "hello,", "hi!", "good morning,", "yo,", "dear nano,", "hello there!", "good evening,"),
    "who": ("son", "daughter", "kid", "sister", "brother", "mom", "dad", "friend", "grandson", "boss", "teacher", "neighbour", "cousin", "aunt", "roommate", "class"),
    "and_then": ("then", "after that", "afterwards", "next", "and then", "and after that", "later", "once that is done,", "following that,", "when that's done,", "subsequently"),
    "also": ("also", "and", "plus", "oh, and", "and also", "on top of that,", "in addition,", "besides that,", "furthermore,", "btw also"),
    "finally": ("finally", "lastly", "at the end", "last of all", "to finish", "and finally", "at last", "as the last thing"),
}  # fmt: skip
PAIR: Words = (
    # orders and sentences
    "3: {do1} and {do2}", "2: {do1}, then {do2}", "2: {do1}. {do2}", "2: {do1}. {and_then} {do2}", "2: {s1}. {s2}", "2: {s1}. {also} {s2}", "{s1}. {and_then} {s2}", "{do1}; {do2}", "{do1}, and after it {do2}", "{do1} as well as {np2}", "{do1}. {also} {do2}",
    "{do1}; also {do2}", "{do1}, and {do2} too", "{do1}. {do2} too", "{do1}, afterwards {do2}", "{do1}! {do2}!", "{do1}... {and_then} {do2}", "{do1}. oh and {do2}", "{do1}, and while you're at it {do2}", "{do1} and, if you can, {do2}", "{do1}, next {do2}",
    "{you} {do1} and {do2}", "{you} {do1}. {you} {do2} as well", "{hello} {do1} and {do2}", "{hello} {s1}. {s2}. {close}", "{do1} and {do2} {close}", "{want1}. {want2}", "{want1} and {want2}", "{want1}. i also need {np2}", "{want1}, {want2} too", "{want1}, but i also want {np2}",
    "{ask1} {ask2}", "{ask1} and {ask2}", "{asked1}, and {asked2}?", "{asked1}? and {asked2}?", "{asked1} and {asked2}", "can you {do1}? and can you {do2}?", "would you {do1}, and then {do2}?", "i wonder if you could {do1} and {do2}", "it'd be great if you'd {do1} and also {do2}",
    "don't only {do1}, {do2} too", "don't just {do1}, also {do2}", "you may {do1}, and you may {do2}", "i'd be glad if you would {do1} and {do2}", "i have two wishes. {do1}. {do2}", "your first task: {do1}. your second task: {do2}", "step one: {do1}. step two: {do2}", "for a start {do1}; {do2} next",
    # noun phrases
    "2: {np1} and {np2}", "2: {i_want} {np1} and {np2}", "{np1} as well as {np2}", "not just {np1} but also {np2}", "not only {np1}, but {np2} as well", "both {np1} and {np2}", "{i_want} both {np1} and {np2}", "{i_want} not one thing but two: {np1}, {np2}", "{i_want} {np1} as well as {np2}",
    "{i_want} {np1}. {i_want} {np2}", "{i_want} {np1}. {also} {i_want} {np2}", "{i_want} {np1}, and {np2} too", "{np1} for me and {np2} for my {who}", "my {who} wants {np1} and i want {np2}", "my {who} asked for {np1}, my {who} for {np2}", "{np1} for my {who}, {np2} for my {who}", "{np1}, plus {np2}", "{np1} along with {np2}",
    "in addition to {np1}, {i_want} {np2}", "besides {np1} {i_want} {np2}", "on the one hand {np1}, on the other hand {np2}", "the first is {np1}, the second {np2}", "the first should be {np1} and the other one {np2}", "the first thing is {np1}. the second thing is {np2}", "one is {np1}, the other is {np2}", "one of them {np1}, the other {np2}",
    "i have two wishes: {np1} and {np2}", "wish number one: {np1}. wish number two: {np2}", "{np1}. {np2}.", "{np1}! and {np2}!", "{np1}, {np2}", "is it possible to have {np1} and {np2}?", "can i get {np1} and {np2}?", "could i have {np1}, and {np2} too?", "any chance of {np1} and {np2}?", "we'd need {np1} and {np2}, separately",
    "{np1}? and {np2}?", "{np1} & {np2}", "what i need is {np1} and {np2}", "all i ask is {np1} and {np2}", "here's what i'm after: {np1}, also {np2}", "{np1}, and {np2}. two files", "{i_want} two things, {np1} and {np2}", "{np1}; {np2}", "{np1} and another thing: {np2}",
    # what it is for
    "2: {to1}, {to2}", "2: {to1} and {to2}", "{to1}. {to2}.", "{to1}; {to2}", "{i_want} {x1} {ved1} and {x2} {ved2}", "{x1}, {ved1}. {x2}, {ved2}", "{x1} {ved1}, {x2} {ved2}", "{x1} ({m1}) and {x2} ({m2})", "{x1}: {m1}. {x2}: {m2}", "{x1} is for the {m1}, {x2} for the {m2}", "{m1} of {x1}, {m2} of {x2}", "in the {m1} {x1}, in the {m2} {x2}",
    # notes
    "2: {terse1} {terse2}", "2: {need1}. {need2}", "{need1} {need2}", "{need1}, {need2}", "{terse1} + {terse2}", "{terse1} and {terse2}", "{terse1} n {terse2} thx", "pls {terse1} & {terse2}", "you give {np1} for me, you give {np2} for me", "me like {np1} and {np2}, please you make", "{terse1}. {terse2}.", "{m1}: {f1}. {m2}: {f2}", "{m1}: {f1} {m2}: {f2}", "{m1} ({f1}), {m2} ({f2})", "{f1} = {m1}, {f2} = {m2}",
    # order as mentioned
    "first {do1}, second {do2}", "firstly {do1}, secondly {do2}", "first {np1}, then {np2}", "start with {np1} and end with {np2}", "begin with {np1}, finish with {np2}", "start by {doing1}, then {do2}", "begin by {doing1} and end by {doing2}", "{np1} to start, {np2} to finish", "{np1} first, {np2} second", "{np1} first, {np2} last", "{np1}, followed by {np2}",
    "{np1}, next {np2}", "{do1} before you {do2}", "{do1} before {doing2}", "once you've {done1}, {do2}", "when you have {done1}, {do2}", "after {doing1}, {do2}", "as soon as you've {done1}, {do2}", "after you have {done1} {do2}", "having {done1}, {do2}", "when {np1} is done, {do2}", "{np1}, and once that's done {np2}", "after {np1} comes {np2}", "{np1} should come before {np2}",
    "{np1} and {np2}, {ref1} first", "{np1} and {np2}, {ref2} last", "{do1} and {do2}, in this order", "{np1} and {np2}. {ref1} comes first, {ref2} second", "open with {np1}, close with {np2}", "kick off with {np1}, then {np2}", "lead with {np1}, continue with {np2}", "{np1}, with {np2} close behind",
)  # fmt: skip
"""Two requests, mentioned in the order of the reply."""
PAIR_TURNED: Words = (
    "2: {do2}, but first {do1}", "2: {do2}, but before that {do1}", "2: before you {do2}, {do1}", "2: before {doing2}, {do1}", "2: {do2} after {doing1}", "{do2} after you have {done1}", "{do2} once you've {done1}", "{do2} as soon as you have {done1}", "{do2} when you're done {doing1}", "{do2}, but only after {doing1}", "don't {do2} before you have {done1}",
    "don't {do2} until you've {done1}", "{i_want} {np2}. before that {do1}", "{i_want} {np2}. but first {i_want} {np1}", "{i_want} {np2}, and before it {np1}", "2: {np2}, preceded by {np1}", "{np2}, but {np1} comes first", "{np2} after {np1}", "2: {np2} second, {np1} first", "{np2} second and {np1} first", "{np2} last, {np1} first", "{np2} at the end, {np1} at the beginning",
    "2: end with {np2}, begin with {np1}", "finish with {np2} but start with {np1}", "end with {np2} and start with {np1}", "close with {np2}, open with {np1}", "the second thing is {np2}, the first {np1}", "2: {np2} and {np1}, {ref1} first", "2: {np2} and {np1}, {ref2} last", "{do2} and {do1}, {ref1} first", "{do2} and {do1}, {ref2} last", "{np2} and {np1} - {ref1} first {close}",
    "{np2}, {np1}. {ref2} second", "{np2} and {np1}. start with {ref1}", "{np2} and {np1}. {ref1} before {ref2}", "{np2} and {np1}, but {ref1} comes first", "{np2} and {np1}, the other way round: {ref1}, then {ref2}", "{do2} and {do1}, though in my order: {ref1} ahead of {ref2}", "{np2} and {np1}, in reverse order", "{np2} and {np1}, but swap the order", "{do2} and {do1}, only the other way round",
    "{np2} and {np1}. {ref2} can wait until {ref1} is done", "{np2} should come after {np1}", "{np2} can wait until {np1} is ready", "only after {np1} {i_want} {np2}", "keep {np2} for the end, {np1} comes first", "second: {np2}. first: {np1}", "2. {np2} 1. {np1}", "2) {terse2} 1) {terse1}", "save {np2} for last; first {do1}", "let {np2} follow {np1}", "{np2} follows {np1}", "no hurry with {np2}, first {do1}",
    "{do2} last and {do1} first", "i'd like {np2}, but please {do1} first", "{np2}... wait, {np1} first", "later {do2}, now {do1}", "{do2} later. now {do1}", "{do2} in the end, but at first {do1}", "{you} {do2}, after {doing1}?", "{you} {do2} once you have {done1}?", "{hello} before {doing2}, please {do1}", "{s2}. before that, {s1}", "{s2}. but first {s1}", "{s2}, and before it {do1}",
    "{np2} with {np1} before it", "{np2} to finish, {np1} to start", "{x2} {ved2} comes after {x1} {ved1}", "{np2} goes second, {np1} goes first", "2nd {terse2}, 1st {terse1}", "{terse2} (2nd), {terse1} (1st)", "{terse2}, but {terse1} first", "{terse2} after {terse1}", "{terse2} b4 that {terse1}", "my {who} wants {np2} and i want {np1}, mine comes first", "my {who} gets {np2} and i get {np1}, mine first",
    "i want {np2} and my {who} wants {np1}, mine can come second", "{np2} for me and {np1} for my {who}, who goes first",
)  # fmt: skip
"""Two requests, mentioned in another order than that of the reply."""
TRIPLE: Words = (
    "3: {do1}, {do2} and {do3}", "2: {do1}. then {do2}. {finally} {do3}", "2: {do1}, then {do2}, then {do3}", "2: {s1}. {s2}. {s3}", "{s1}. {also} {s2}. {finally} {s3}", "{do1}. {and_then} {do2}. {and_then} {do3}", "{do1}; {do2}; {do3}", "{you} {do1}, {do2} and {do3}", "{hello} {do1}, {do2} and {do3} {close}", "{do1}, {do2}, {do3}",
    "{do1} and {do2}, and {finally} {do3}", "{ask1} {ask2} {ask3}", "{asked1}, {asked2} and {asked3}?", "{want1}, {want2} and {want3}", "{want1}. {want2}. {want3}", "{do1}. {do2}. oh, and {do3}", "first {do1}, second {do2}, third {do3}", "firstly {do1}, secondly {do2} and thirdly {do3}", "first {do1}, then {do2}, and {finally} {do3}",
    "3: {np1}, {np2} and {np3}", "2: {i_want} {np1}, {np2} and {np3}", "{np1}, {np2}, and {np3}", "{np1}, {np2} plus {np3}", "{np1}; {np2}; {np3}", "{np1}. {np2}. {np3}.", "{np1} and {np2} and {np3}", "not only {np1} and {np2}, but also {np3}", "{np1}, {np2} as well as {np3}", "{i_want} {np1}. {also} {np2}. and {np3}", "{np1} first, {np2} second, {np3} third",
    "{np1} first, then {np2}, {np3} last", "at the start {np1}, in the middle {np2}, at the close {np3}", "begin with {np1}, continue with {np2}, end with {np3}", "start by {doing1}, then {do2}, and end by {doing3}", "{np1}, followed by {np2} and then {np3}", "{np1}, followed by {np2}, followed by {np3}", "{np1}, {np2}, and in the end {np3}", "{np1}, {np2}, and to finish {np3}",
    "{do1}, {do2}, and after those {do3}", "after {doing1} and {doing2}, {do3}", "once you've {done1} and {done2}, {do3}", "{do1}. once that's done {do2}. at the very end {do3}", "one is {np1}, one is {np2}, and the last one is {np3}", "the first is {np1}, the second {np2}, the third {np3}", "three wishes: {np1}, {np2}, {np3}", "i have three wishes. {do1}. {do2}. {do3}",
    "2: {to1}, {to2}, {to3}", "{to1}. {to2}. {to3}.", "{to1}, {to2} and {to3}", "{to1}; {to2}; {to3}", "{x1} {ved1}, {x2} {ved2}, {x3} {ved3}", "{x1} ({m1}), {x2} ({m2}), {x3} ({m3})", "{np1} for me, {np2} for my {who} and {np3} for my {who}", "{m1}: {f1}. {m2}: {f2}. {m3}: {f3}", "{m1}: {f1} {m2}: {f2} {m3}: {f3}",
    "{need1}. {need2}. {need3}", "{terse1} {terse2} {terse3}", "{terse1}, {terse2}, {terse3} {close}", "{terse1} + {terse2} + {terse3}", "{terse1} and {terse2} and {terse3}", "{terse1} & {terse2} & {terse3}", "step one: {do1}. step two: {do2}. step three: {do3}", "{f1} = {m1}, {f2} = {m2}, {f3} = {m3}",
    "can i get {np1}, {np2} and {np3}?", "{i_want} three things, {np1}, {np2}, {np3}", "{np1} in the beginning, {np2} in the middle, {np3} at the end", "{do1} before {doing2} and {doing3}", "my {who} wants {np1}, my {who} {np2} and i want {np3}",
)  # fmt: skip
"""Three requests, mentioned in the order of the reply."""
TRIPLE_TURNED: Words = (
    "{do2} and {do3}, but first {do1}", "before you {do2} and {do3}, {do1}", "before {doing2} and {doing3}, {do1}", "{do3} after {doing1} and {doing2}", "{do3} once you've {done1} and {done2}", "{np3} last, {np1} first and {np2} in between", "end with {np3}, begin with {np1}, and put {np2} in the middle", "third {np3}, second {np2}, first {np1}",
    "{np3} third, {np2} second, {np1} first", "{np2}, {np3} and {np1}, {ref1} first", "{np3}, {np1} and {np2}, {ref3} last", "{np3}, {np1}, {np2}. {ref3} comes last", "{np2}, {np3} and {np1}. start with {ref1}", "{np3}, {np2} and {np1}, in this order: {ref1}, {ref2}, {ref3}", "{np2}, {np1} and {np3}; the order: {ref1}, {ref2}, {ref3}", "3. {np3} 2. {np2} 1. {np1}",
    "finish with {np3}. before that {do2}, and at the very start {do1}", "{np3}, preceded by {np1} and {np2}", "{np2} and {np3}, preceded by {np1}", "at the end {do3}. before that {do1} and {do2}", "{np3}, but before it {np1} and {np2}", "{np3} after {np1} and {np2}", "{i_want} {np3}. but first {np1} and {np2}", "the last thing is {np3}, the first {np1}, and between them {np2}",
    "{np3}, {np2}, {np1}, from the last to the first", "{np1} first and {np3} last, with {np2} in between", "{do1} and then {do3}, but in between {do2}",
)  # fmt: skip
"""Three requests, mentioned in another order than that of the reply."""
ALIKE_PAIR: Words = (
    "two {ns}, the first {with} {x1}, the second {with} {x2}", "{i_want} two {ns}: one {with} {x1}, one {with} {x2}", "{i_want} two {ns}, one {with} {x1} and one {with} {x2}", "one {n} {with} {x1}, one {n} {with} {x2}", "one {n} {with} {x1} and the other {with} {x2}", "one {n} {has} {x1}, the other {has} {x2}", "one {n} {has} {x1} and another {has} {x2}", "one {n} where it's {x1} and one where it's {x2}",
    "a {n} {with} {x1}. another {n} {with} {x2}", "a {n} {with} {x1}, another {with} {x2}", "a {n} {with} {x1} and a second one {with} {x2}", "a {n} {with} {x1} and another one {with} {x2}", "first {n} {x1}, second {n} {x2}", "first {n}: {f1}. second {n}: {f2}", "{n} 1: {f1}, {n} 2: {f2}", "{n} one is {x1}, {n} two is {x2}", "{n} #1 {f1} {n} #2 {f2}", "1st {n} {f1} 2nd {n} {f2}", "{n} 1) {f1} {n} 2) {f2}", "{n} a: {f1}, {n} b: {f2}",
    "the first {n} {with} {x1}, the next one {with} {x2}", "the first {n} should be {x1} and the second {x2}", "two {ns}. one of them: {x1}. the other: {x2}", "{v} {x1}. now {v} {x2}", "{v} {x1}, and in another {n} {x2}", "{v} {x1} and in a separate {n} {x2}", "{x1} in one {n}, {x2} in another", "{x1} in one {n} and {x2} in the other", "{x1} in the first {n}, {x2} in the second one", "{v} two {ns}: {x1} in the first, {x2} in the other", "{v} not only {x1} but also {x2}", "{v} {x1} as well as {x2}", "{v} both {x1} and {x2}",
    "{v} {x1}; {v} {x2}", "{v} {x1} then {v} {x2}", "2 {ns} / one {f1} / the other {f2}", "the one {n} {has} {x1}, the other one {x2}", "two different {ns}: {f1} on the one hand and {f2} on the other", "{v} one {n} {with} {x1} plus one {with} {x2}", "a pair of {ns}: {x1}, {x2}", "{ns} of {x1} and of {x2}", "a {n} {with} {x1}, then the next {with} {x2}", "{n} {with} {x1} + {n} {with} {x2}", "for the first {n} take {x1}, for the second {x2}",
    "in one {n} {i_want} {x1}, in the other {x2}", "two {ns} {close}. {x1}. {x2}.", "{v} me {x1} and, separately, {x2}", "the {n} {with} {x1} first, then the {n} {with} {x2}", "{x1} goes in one {n}, {x2} goes in another {n}", "{v} two: {x1} and {x2}", "can you {v} {x1}? and {x2}?", "{v} {x1}. {x2} too", "{v} {x1}. and {x2}", "{v} {x1}, also {x2}", "{v} {x1}. after that {x2}", "{v} {x1}... and {x2}...", "{v} {x1}. same for {x2}", "{x1}, {v} that. {x2}, {v} that too",
    "{v} {x2}, but {x1} first", "{v} {x2} after {x1}", "{v} {x2} and {x1}, {ref1} first", "{v} {x2} and {x1}, {ref2} last", "{v} {x2} second and {x1} first", "{ns} of {x2} and {x1}, beginning with {ref1}", "second {n}: {f2}. first {n}: {f1}", "the second {n} is {x2}, the first is {x1}", "{n} 2: {f2}. {n} 1: {f1}", "{v} {x2}. before that {x1}", "{ns} of {x2} and {x1}, in reverse order",
)  # fmt: skip
"""Two media of one modality: {ns}, {n} its nouns, {v} a verb, {with} and {has} what fits them."""
ALIKE_TRIPLE: Words = (
    "three {ns}, the first {with} {x1}, the second {with} {x2}, the third {with} {x3}", "three {ns}: one {with} {x1}, one {with} {x2}, one {with} {x3}", "{n} number one {has} {x1}, number two {has} {x2}, number three {has} {x3}", "one {n} {with} {x1}, another {with} {x2}, a third {with} {x3}", "first {n} {x1}, second {n} {x2}, third {n} {x3}", "{n} 1: {f1}, {n} 2: {f2}, {n} 3: {f3}",
    "{n} #1 {f1} {n} #2 {f2} {n} #3 {f3}", "1st {n} {f1} 2nd {n} {f2} 3rd {n} {f3}", "three {ns} {close}. {x1}. {x2}. {x3}.", "{v} me {x1}, {x2}, and in the end {x3}", "{v} {x1}. {v} {x2}. {v} {x3}", "{v} {x1}, {x2} and finally {x3}", "{v} {x1}, followed by {x2} and {x3}", "{v} {x2} and {x3}, but {x1} first", "{v} {x3} after {x1} and {x2}", "{v} {x2}, {x3} and {x1}, {ref1} first", "{v} {x3}, {x1} and {x2}, {ref3} last",
    "{x1} in one {n}, {x2} in the next, {x3} in the last", "a {n} {with} {x1}; a {n} {with} {x2}; a {n} {with} {x3}", "{v} {x1}, then {x2}, then {x3}", "{v} three: {x1}, {x2} and {x3}", "{v} {x1} and {x2}. and {x3}, too", "{v} {x1} as well as {x2} and {x3}",
)  # fmt: skip
"""Three media of one modality."""
SEPARATORS: Words = (
    "{a}, {b}", "{a}, {b}", "{a} / {b}", "{a} / {b}", "{a}; {b}", "{a}; {b}", "{a} | {b}", "{a} // {b}", "{a}¶{b}", "{a}¶{b}", "{a} + {b}", "{a}, then {b}", "{a} -> {b}", "{a}. {b}", "{a} & {b}", "{a} - {b}", "{a} and {b}", "{a}, also {b}", "{a}, next {b}", "{a} > {b}", "{a} ... {b}", "{a},{b}", "{a}/{b}", "{a}¶¶{b}", "{a} • {b}", "{a}, plus {b}", "{a} || {b}", "{a}, after that {b}", "{a}, followed by {b}",
)  # fmt: skip
"""How one item of a list stands beside the next."""
COMMA_SEPARATED = frozenset({"{a}, {b}", "{a},{b}", "{a} and {b}", "{a} & {b}", "{a} + {b}", "{a} - {b}"})  # fmt: skip
"""Those that would run into the commas of an item's own words."""
NUMBERINGS: tuple[tuple[str, str], ...] = (
    ("{i}) {a}", " "), ("{i}) {a}", " "), ("{i}) {a}", "¶"), ("{i}. {a}", " "), ("{i}. {a}", "¶"), ("{i}. {a}", "¶"), ("({i}) {a}", " "), ("#{i} {a}", " "), ("#{i}: {a}", ", "), ("{i}: {a}", "¶"), ("{i}: {a}", ", "), ("{l}) {a}", " "), ("{l}. {a}", "¶"), ("- {a}", "¶"), ("* {a}", "¶"), ("• {a}", "¶"), ("{i}- {a}", " "), ("no. {i}: {a}", ", "), ("{w}: {a}", ". "),
    ("{w} {a}", ", "), ("{o} {a}", ", "), ("{o}: {a}", ". "), ("{o} one: {a}", ". "), ("{t} {a}", ", "), ("{t}: {a}", "; "), ("{i}/ {a}", " "), ("number {w}: {a}", ". "), ("{i} {a}", "; "), ("[{i}] {a}", " "), ("the {o}: {a}", ", "), ("nr {i} {a}", ", "), ("{i}.) {a}", " "), ("+ {a}", "¶"), ("> {a}", "¶"), ("x {a}", "¶"), ("{r}. {a}", " "), ("{r}) {a}", "¶"),
)  # fmt: skip
"""Items of a list with marks, and what stands between them."""
HEADS_ALIKE: Words = (
    "3: {c} {ns}: {list}", "2: {ns}: {list}", "{ns} of {list}", "{v}: {list}", "2: {v} these: {list}", "{v} these {c} {ns}: {list}", "{sense}: {list}", "let me {sense} {list}", "i want to {sense} {list}", "{ns} pls: {list}", "{i_want} {c} {ns}: {list}", "{c} {ns} {close}. {list}", "{ns} to make: {list}", "{v} the following: {list}", "my list of {ns}: {list}", "todo ({ns}): {list}", "{list} ({c} {ns})", "{list} - all as {ns}", "{list}. {c} {ns}, please", "{list}, every one as a {n}",
    "{v} {list}", "{v} {list} {close}", "{c} {ns}, please: {list}", "{hello} {c} {ns}: {list}", "can you {v} these? {list}", "{v} each of these: {list}", "{list} - {v} them all", "{list}: {v} each", "{c} {ns} {list}", "{ns} wanted: {list}", "[{c} {ns}] {list}", "{v} one by one: {list}", "{n} list: {list}", "{list}. please {v} all of them", "{i_want} a {n} of each: {list}", "{n}: {list}", "{ns} = {list}", "{v} -> {list}", "we need {ns} of these: {list}", "make {c} {ns}: {list}", "{c} {ns} in this order: {list}",
)  # fmt: skip
"""Lists of things whose medium is named once; {c} is their number."""
HEADS_MIXED: Words = (
    "6: {list}", "2: {c} things: {list}", "2: i need: {list}", "i need the following: {list}", "todo: {list}", "my list: {list}", "please make: {list}", "make these: {list}", "wishlist: {list}", "order: {list}", "{c} requests: {list}", "{hello} {list}", "{list} {close}", "{i_want} {list}", "{hello} {c} things please: {list}", "{list}. {c} files", "here is my list: {list}", "{you} make these: {list}", "shopping list: {list}", "{c} jobs for you: {list}", "{list}, in that order", "in this order: {list}", "to do:¶{list}", "requests:¶{list}", "deliver {list}", "{list}. that's all",
    "output: {list}", "{c} separate files: {list}", "this is what i need: {list}", "{i_want} these {c} things: {list}", "for tomorrow: {list}",
)  # fmt: skip
"""Lists of media."""
ALIKE_WORDS: dict[str, dict[str, Words]] = {
    "image": {"with": ("with", "of", "showing", "of"), "has": ("shows", "has"), "sense": ("see", "look at"), "v": ("draw", "draw", "paint", "sketch")},
    "audio": {"with": ("of", "of", "with", "from"), "has": ("is of", "has"), "sense": ("hear", "hear", "listen to"), "v": ("play", "play", "play", "imitate")},
    "video": {"with": ("with", "of", "showing", "of"), "has": ("shows", "has"), "sense": ("watch",), "v": ("film", "film", "animate", "make a video of")},
}  # fmt: skip
"""Words of one modality in the rules above."""
