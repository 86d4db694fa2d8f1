"""Words around a question about a medium, and names of a file that comes with it."""

from __future__ import annotations

from anymodal.toybox.grammar.phrases.attributes import Words

FILES: dict[str, Words] = {
    "image": ("this picture", "the picture", "my picture", "this photo", "the photo", "my pic", "the image", "this image", "the attached image", "the attached png", "the jpeg", "this jpg", "the file", "my upload", "the drawing", "this drawing", "the snapshot", "what i uploaded", "the screenshot", "this one here", "the pic i sent", "that picture", "my foto",
              "the thing in the picture", "the thing in the photo", "the object in my picture", "the object shown", "the thing here", "the thing on it", "the object in the image", "the one in the photo", "what's in the picture", "the thing i sent"),
    "audio": ("this sound", "the sound", "my recording", "this recording", "that noise", "this noise", "the audio", "the wav", "this mp3", "the audio file", "the attached sound", "the sound file", "this one here", "the clip", "this track", "the voicemail", "the tape", "what i recorded", "this sample", "the file", "what you hear", "that sound",
              "the thing in the recording", "the thing that sounds there", "the thing you hear", "the thing making the noise", "the source of it", "the thing on the tape"),
    "video": ("this video", "the video", "my video", "this clip", "the clip", "the footage", "this film", "my film", "the mp4", "this movie", "the attached video", "the file", "the vid", "this one here", "the animation", "what i filmed", "this gif", "that clip", "the recording",
              "the thing in the video", "the thing in the clip", "the object in the footage", "the thing you see", "the object on film", "the one in the clip", "the star of the clip", "the thing in my film", "the object in the mp4", "the thing that is filmed"),
    "imu": ("this movement", "the movement", "my movement", "this motion", "the recorded motion", "the sensor log", "the sensor data", "the imu recording", "the imu trace", "imu.csv", "the accelerometer file", "the accelerometer data", "the motion file", "the gyro log", "the log from my phone", "what my phone felt", "what the sensor felt", "this gesture", "my gesture",
            "the move i made", "what i did with my phone", "the phone's movement", "the trace", "the movement in the log", "the motion in the file", "the gesture in the recording", "the move of my hand", "the data from my watch", "what the watch felt", "the csv", "the movement of the phone", "that shove"),
}  # fmt: skip
"""Words for the only given file, by modality."""

LEADS: Words = (
    "hello. ", "hi! ", "hey, ", "hi there, ", "good morning. ", "good evening! ", "good day, sir. ", "hello friend, ", "excuse me, ", "sorry to bother you. ", "ok, ", "ok so ", "so, ", "well, ", "hm, ", "umm ", "oh! ", "wow. ", "quick question: ", "one question. ", "question for you: ", "i have a question. ", "listen, ", "now, ", "btw ", "please help. ",
    "my homework asks: ", "for school: ", "we're having a bet. ", "my son wants to know. ", "my sister asks: ", "grandpa asks: ", "mum wants to know: ", "the teacher says to ask: ", "my eyes are not good. ", "i can't find my glasses. ", "i am not from here, sorry for my english. ", "i am in a hurry. ", "no pictures please, in words: ", "don't make anything, just tell me. ", "test: ",
    "let's see if you know: ", "let's play a quiz. ", "riddle time! ", "i need this for a form. ", "for the record, ", "i'm filling in a table. ", "for my database: ", "dear computer, ", "computer, ", "yo, ", "pls, ", "be a dear: ", "one more thing: ", "just to be sure, ", "don't draw anything. ", "only words now: ", "only an answer please. ", "i'm making a list. ",
)  # fmt: skip
GIVEN_LEADS: dict[str, Words] = {
    "image": ("look at this. ", "here is a picture. ", "see here! ", "i found this photo. ", "my aunt mailed me this. ", "got this in a mail. ", "see the attached picture. ", "take a look. ", "the image stays grey for me. ", "my kid drew this. ", "someone posted this. ", "picture attached. ", "have a look at it: ", "this came in the post. "),
    "audio": ("listen to this. ", "listen! ", "i recorded this. ", "i heard something. ", "this is from my phone. ", "got a voice message. ", "my neighbour makes this noise. ", "audio attached. ", "put on your headphones. ", "have a listen. ", "i keep hearing this. ", "i taped this last night. ", "my speakers are broken. ", "open your ears: "),
    "video": ("watch this. ", "look at this clip. ", "i filmed this. ", "see the attached video. ", "my friend sent me a video. ", "the video won't play here. ", "found this clip. ", "have a look at the film. ", "from my camera: ", "i took this from my balcony. ", "clip attached. ", "watch closely. ", "this was on tv. ", "see, see! "),
    "imu": ("here is a sensor recording. ", "i moved my phone. ", "this is from my watch. ", "sensor log attached. ", "feel this. ", "i made a gesture. ", "imu data attached. ", "i swung my phone. ", "i was in the kitchen. ", "this is what my phone felt. ", "here's a motion log. ", "accelerometer file attached. ", "i wore it on my wrist. ", "from the gyro: "),
}  # fmt: skip
TAILS: Words = (
    ", please", " please", " pls", " plz", ", thanks", ". thanks!", " thx", ", thank you", ". cheers", " lol", ", i can't tell", ". i have no idea", ", i forgot my glasses", ". be brief", ", in words", ". in words please", ". no picture please", ", just say it", ". one line is enough", ", if you don't mind", ", my friend", ". my mum asks", ", it's for school", ". i'm curious",
    ", i wonder", ". asking for a friend", ", no hurry", ", sir", ", dear", " :)", " haha", ". don't make anything", ". short answer", ". i need it for a form", ", it's important", ", if you can", " ok?", " huh",
)  # fmt: skip
