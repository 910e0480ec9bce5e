# SPDX-License-Identifier: MIT
"""Little stories about rivers, weirs and those who live there, from a grammar."""

# who: (noun, article, pronoun, possessive)
WHO = [(w, "an" if w[0] in "aeiou" else "a") for w in
       """otter|miller|heron|beaver|fish|frog|duck|ferryman|boy|girl|mouse|swan|fox|old woman|fisherman|hedgehog|kingfisher|rabbit|boat
bear|cat|dog|goose|owl|robot|king|princess|dragon|shepherd|snail|turtle|baker|horse|wolf|squirrel|salmon|crow|bee|child|wizard""".replace("\n", "|").split("|")]
NAMES = "Tilda Bruno Mara Odo Lina Piet Wanda Emil Rosa Jonas Greta Hugo Nell Anton Frida Otto".split()
TRAITS = "small|patient|curious|clever|quiet|brave|kind|old|young|hungry|cheerful|stubborn".split("|")
PLACES = ["by a wide river", "near an old weir", "at the edge of a lake", "beside a mill", "under a stone bridge",
          "in a green valley", "on a little island", "where two streams meet"]
HABITS = ["Every morning {n} listened to the water falling over the weir.", "Every day {n} walked along the bank and counted the stones.",
          "{n} loved the river more than anything else.", "In the evening {n} sat on the wall of the weir and watched the stars."]
TROUBLES = [("One spring the rain did not stop, and the water rose higher and higher.", "opened the gate of the weir a little, so that only a steady stream went through",
             "The lake grew calm, and the village below stayed dry."),
            ("One summer there was no rain, and the stream grew thin.", "closed the gate of the weir and saved every drop",
             "Soon there was enough water for everybody."),
            ("One day a big log blocked the weir, and the mill stood still.", "pulled and pushed until the log came free",
             "The wheel of the mill began to turn again."),
            ("One night a storm broke the old boat loose.", "threw a long rope and tied the boat to the willow",
             "In the morning the boat was safe at the bank."),
            ("One day the bridge broke, and nobody could cross the river.", "carried stone after stone until there was a path through the water",
             "From then on everybody could cross with dry feet."),
            ("One winter the river froze, and the fish were trapped under the ice.", "made a hole in the ice and kept it open all night",
             "When spring came, all the fish were alive and merry.")]
DOUBTS = ["\"I am too small for this,\" thought {n}.", "\"What can I do?\" asked {n}.", "Everybody was afraid, but {n} was not.",
          "At first {n} did not know what to do."]
HELPERS = ["Then {aw} came by and said, \"Do a little at a time, and begin now.\"", "Then {aw} came along and said, \"Let us do it together.\"",
           "Then {aw} looked up and said, \"Look how the water does it: step by step.\""]
ENDS = ["And {n} learned that a steady stream goes further than a flood.", "And if you walk there today, you can still hear the water laugh.",
        "From that day on, {n} and the {w} were friends.", "That night {n} slept well, and the river sang."]

ASK = ["tell me a story about X", "tell me a little story about X", "a story about X", "can you tell me a story about X", "write a story about X",
       "i want to hear a story about X", "please tell a story about X", "story about X", "make up a story about X", "do you know a story about X",
       "tell a tale of X", "i would like a story with X", "tell my child a story about X"]
ASK_ANY = ["tell me a story", "tell me a little story", "a story please", "can you tell me a story", "tell a story", "story", "write a story",
           "i want to hear a story", "do you know a story", "tell me another story", "make up a story", "i am bored, tell me something", "another one",
           "read me a bedtime story", "tell me a fairy tale", "once upon a time", "story time", "entertain me", "please tell me a short story"]


def story(rnd, who=None):
    noun, article = who or rnd.choice(WHO)
    other, other_article = rnd.choice([w for w in WHO if w[0] != noun])
    name = rnd.choice(NAMES)
    words = {"n": name, "w": other, "aw": other_article + " " + other}
    trouble, deed, result = rnd.choice(TROUBLES)
    trait = rnd.choice(TRAITS)
    article = "an" if trait[0] in "aeiou" else "a"
    parts = ["Once upon a time there was %s %s %s named %s, who lived %s." % (article, trait, noun, name, rnd.choice(PLACES)),
             rnd.choice(HABITS), trouble, rnd.choice(DOUBTS), rnd.choice(HELPERS), "So %s %s." % (name, deed), result, rnd.choice(ENDS)]
    return " ".join(p.format(**words) for p in parts)


def about(rnd):
    """(request, story)."""
    if rnd.random() < 0.45:
        return rnd.choice(ASK_ANY), story(rnd)
    who = rnd.choice(WHO)
    thing = rnd.choice(["%s %s" % (who[1], who[0]), "%s %s" % (who[1], who[0]), "the " + who[0], who[0]])
    return rnd.choice(ASK).replace("X", thing), story(rnd, who)
