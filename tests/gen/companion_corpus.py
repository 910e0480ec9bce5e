#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The text that the small model of weir is trained on: conversations about weir and little stories.

usage: companion_corpus.py [N [SEED]]     print N conversations, to look at

Everything is drawn from companion_facts.txt, companion_talk.txt, the questions people might ask about
each of their facts in companion_asked.txt, and the grammar of companion_story.py, with a seeded
random.Random, so the same seed gives the same text.  Questions are lower case, as the
chat template of the model makes them.  A question that is in companion_questions.tsv or
companion_dev.tsv is never given out; Corpus.n_refused counts how often one was drawn.
"""
import os
import random
import re
import sys

from companion_story import story, about

HERE = os.path.dirname(os.path.abspath(__file__))

NOUN = """what is X|what is X|what's X|whats X|what does X do|what does X mean|what is X for|what is X good for
explain X|explain X to me|please explain X|can you explain X|could you explain X to me|tell me about X
tell me more about X|X|X|define X|what is meant by X|the meaning of X|how does X work|i don't understand X
i do not get X|describe X|help with X|information on X|could you tell me what X is|i want to know about X
what can you say about X|what about X|what do you know about X|and X|X please|what are X|what is the use of X
i have a question about X|details on X|can you tell me about X|what exactly is X|what was X again|i read about X, what is it
give me a short explanation of X|in short, what is X|i keep seeing X, what is that|talk about X|what should i know about X
what's the deal with X|what's up with X|why is there X|what does X stand for|when do i need X|is there something about X""".replace("\n", "|").split("|")
DO = """how do i V|how do i V|how can i V|how can i V|how to V|how could i V|how would one V|how does one V|how do you V
i want to V|i would like to V|i'd like to V|i need to V|is there a way to V|is it possible to V|can i V|can you V
what do i do to V|what do i type to V|which option do i use to V|which flag lets me V|what command lets me V
what is the best way to V|tell me how to V|show me how to V|please help me to V|i am trying to V|i'm trying to V
what is the right way to V|V|V|what should i do if i want to V|what if i want to V|my goal is to V|is there an option to V
is there a flag to V|what lets me V|what's the trick to V|any way to V|how should i V|how must i call weir to V|i have to V
what do i need to V|which command do i need to V|does weir let me V|does weir have an option to V|i wish i could V
which switch is there to V|is there a command to V|with which option can i V|what's the option to V|what flag would V
how might i V|we want to V|let's V|could i V|am i able to V|which setting do i change to V|i can't figure out how to V""".replace("\n", "|").split("|")
CAN = """can weir P|can weir P|does weir P|is weir able to P|can it P|does it P|i wonder whether weir can P
is it possible for weir to P|will weir P|can you P|could weir P|do you know if weir can P|am i right that weir can P
i heard weir can P|is it true that weir can P|would weir P|tell me if weir can P|can this program P|does this P
how does weir P|how can weir P|how do i make weir P|i want weir to P|i'd like weir to P|P|is it able to P|weir can P, right
can it also P|what if i want weir to P|may weir P""".replace("\n", "|").split("|")
ERR = """what does E mean|what does "E" mean|i get E|i get "E"|it says E|it says "E"|weir says: E|weir says E|error: E|why do i get E
what should i do about E|the message is E|help, E|E|E, what now|i see E on my screen|it failed with E
weir complains: E|what to do when it says E|why does weir say E|how do i fix E|i got an error: E|the error E
what is the reason for E|weir ended with E|suddenly it says E|it stops with "E"|what can i do if i get E|weir prints E
my run failed: E|weir refuses with E|what is wrong if it says E|there is a message, E|why E""".replace("\n", "|").split("|")
DEFAULT = """what is the default of X|what is the default for X|what's the default of X|X default|default X|the default value of X
what value does X have by default|which value has X if i don't set it|what is X by default|what is X when i do not give it
what is X set to by default|what does weir take for X when i say nothing""".replace("\n", "|").split("|")
EXAMPLE = """give me an example of X|an example of X|example for X|show me an example of X|X example|an example with X
show me X in use|show me how X is used|how does a command line with X look|can you show me an example of X
what does a command with X look like""".replace("\n", "|").split("|")
MORE_DEFAULT = ["what is the default", "and the default", "default", "what's the default value", "what is the default value",
                "and what is it by default", "what if i don't set it", "and by default", "which default does it have",
                "what does it default to"]
MORE_EXAMPLE = ["an example", "give me an example", "for example", "show me an example please", "can you show me", "example please",
                "how does that look", "show me", "what would i type", "what do i type", "do you have an example", "and an example",
                "how do i use that", "how do i use it", "can you give me an example"]
AGAIN = ["say that again", "again please", "what", "pardon", "can you repeat that", "please repeat", "repeat that", "sorry, what was that",
         "once more please", "come again"]
BEFORE = """please tell me,|hey,|hi,|hello,|hello!|quick question:|a question:|sorry,|ok,|okay, so|so|well,|um,|hm,|tell me:|tell me,|please,
i was wondering,|i wonder,|maybe you know:|excuse me,|one more thing:|another question:|and|but|now|by the way,|just to be sure:|dumb question:
can you tell me|could you tell me|do you know|i would like to know|i'd like to know|can you say|good morning.|my question is:
my friend asks:|my boss wants to know:|i am new here.|i am new to this.|i am a beginner.|i just installed weir.|i have a laptop with 8 gb.
i have a question.|i am confused:|i forgot:|remind me,|help me out:|hey there,|weir,|dear weir,|thanks. now|great.|alright,|next question:
i looked in the manual but""".replace("\n", "|").split("|")
AFTER = ["in weir", "with weir", "please", "thanks", "thank you", "in this program", "exactly", "here", "then", "for me", "again", "now",
         "when i use weir", "in general", "actually", "i wonder", "with this tool", "in simple words", "briefly", "if i may ask",
         "do you know", "on linux", "on my machine", "on my laptop", "at all", "really", "quickly", "i don't know", "can you help"]
SAME = """show=display,print,see,view,tell|memory=ram,memory,main memory|ram=memory|model=model,llm,language model,network|models=llms,language models
file=file,document|weights=weights,parameters,model weights|disk=disk,drive,ssd,storage|make=make,have,get|get=get,obtain,receive
set=set,choose,change,adjust,configure,define,specify|change=change,set,adjust,modify,alter|choose=choose,pick,select
use=use,take,employ,work with|limit=limit,restrict,cap,bound,reduce|answer=answer,reply,response|answers=answers,replies,responses
question=question,message|chat=chat,conversation,dialogue|conversation=conversation,chat,dialog|text=text,words,writing
generate=generate,produce,write,create|write=write,save,put|save=save,store,keep,write|load=load,open,read|download=download,fetch,get,grab
run=run,start,execute,launch|start=start,begin,launch|stop=stop,end,halt,quit|end=end,stop,finish|show=show,list|list=list,show,enumerate
remove=remove,delete,erase|delete=delete,remove,drop|option=option,flag,switch,parameter,setting|flag=flag,option,switch
default=default,standard|speed=speed,performance|fast=fast,quick|slow=slow,sluggish|big=big,large,huge|large=large,big|small=small,little,tiny
need=need,require|mean=mean,say,signify|computer=computer,machine,pc,laptop|machine=machine,computer,pc|gpu=gpu,graphics card
supported=supported,possible,allowed,accepted|support=support,know,handle|works=works,functions|work=work,function|find=find,see,look up
folder=folder,directory|token=token|tokens=tokens|measure=measure,benchmark,test|error=error,failure,message|explain=explain,describe
tell=tell,say to|program=program,tool,software,application|want=want,wish|called=called,named|fit=fit,go into memory|kept=kept,stored,saved
stored=stored,kept,saved|where=where,in which place|bigger=bigger,larger|larger=larger,bigger|again=again,once more|forget=forget,drop
message=message,line|chosen=chosen,picked,selected|many=many|help=help|smaller=smaller,less|identical=identical,the same|read=read,open,load
open=open,load,read|see=see,view,look at,watch|give=give,pass,provide,supply|print=print,show,output|prompt=prompt,input|format=format,kind of file
threads=threads,cores|cores=cores,cpus,processors|cpu=cpu,processor|convert=convert,transform,translate|often=often|keep=keep,hold,preserve
erase=erase,delete,wipe,remove|clear=clear,wipe,erase|store=store,save,keep|fetch=fetch,download,get|free=free,gratis|pay=pay,spend money
machine=machine,box,system|consumption=consumption,usage|second=second,further|inside=inside,in|everything=everything,all|grab=grab,take,eat
picked=picked,chosen,taken|tiny=tiny,small|damaged=damaged,broken,corrupt|missing=missing,absent,lacking|broken=broken,damaged,bad|quick=quick,fast
obtain=obtain,get,acquire|prevent=prevent,avoid,stop|leave=leave,quit,exit|reply=reply,answer|why=why,how come|enough=enough,sufficient|allow=allow,permit
dropped=dropped,lost,removed|happens=happens,occurs|idea=idea,concept|understand=understand,grasp|difference=difference|interrupt=interrupt,break off,cancel
random=random,arbitrary|picture=picture,image,drawing|draw=draw,paint,plot|types=types,kinds|kinds=kinds,types,sorts|command=command,subcommand
repeat=repeat,redo|exactly=exactly,precisely|know=know,find out,learn|included=included,bundled,shipped|hidden=hidden|total=total""".replace("\n", "|").split("|")
STOP = set("the a an i do does is are to of in for me my it can how what which be with on and you there that this when if or did was".split())
TOPICS = """the capital of france|the weather|football|cooking pasta|the meaning of life|the moon|python programming|politics|the president|dogs
cats|history|the roman empire|music|guitars|my homework|algebra|physics|black holes|chess|gardening|tomatoes|cars|electric cars|trains
bitcoin|the stock market|shoes|poetry|shakespeare|movies|star wars|medicine|headaches|love|marriage|god|religion|germany|japan|china|new york
london|berlin|paris|the second world war|dinosaurs|biology|cells|photosynthesis|chemistry|water|coffee|tea|beer|wine|pizza|bread|soup|cake
javascript|java|excel|photoshop|my phone|iphones|android|television|netflix|sports|tennis|the olympics|swimming|running shoes|yoga|travel
flights|hotels|maps|the population of india|mount everest|the ocean|whales|birds|horses|insects|spiders|trees|flowers|the universe|mars
time travel|robots|elections|taxes|insurance|jobs|salaries|my car|bicycles|painting|picasso|mozart|beethoven|the beatles|dancing|clothes
fashion|hair|teeth|sleep|dreams|school|university|exams|translations|grammar in english|spanish words|jokes about cats|sushi|rice|cheese
the speed of light|gravity|einstein|newton|the pyramids|egypt|africa|australia|kangaroos|snow|rain|climate change|energy|nuclear power|oil""".replace("\n", "|").split("|")
OTHER = """what is X|tell me about X|what do you know about X|how does X work|explain X|i like X|do you like X|who invented X|what do you think of X
write a poem about X|help me with X|where can i find X|how much is X|why is X so popular|give me facts about X|X|can you teach me X|let's talk about X
when was X made|how old is X|i have a question about X|is X good|what is the best thing about X|how do i learn X|where is X|i want to buy X
translate X|what's new with X|can you recommend X|what happened to X|can you help me with X""".replace("\n", "|").split("|")
SUMS = ["what is A plus B", "what is A times B", "A plus B", "A + B", "how much is A times B", "what is A minus B", "calculate A x B", "A divided by B"]
WHO_ELSE = """napoleon|caesar|shakespeare|mozart|the queen|the king of spain|the pope|einstein|obama|elon musk|the president of france|cleopatra|plato|hitler
the prime minister of italy|the chancellor of germany|michael jackson|harry potter|batman|my father|the mayor of london|the first man on the moon""".replace("\n", "|").split("|")
OTHER_WHOLE = """who won the world cup|what time is it|what day is it today|what is 2 plus 2|what is 17 times 3|how do i cook rice|who is the president
how far is the moon|what should i eat today|how do i bake bread|write me an essay|solve this equation|who wrote hamlet|what is the tallest mountain
how many planets are there|when was the war|how do i fix my bike|what is the best phone|where should i travel|how do i tie a tie|can you sing
what is the square root of 16|who painted the mona lisa|how do i lose weight|what is the news today|should i buy stocks|what's for dinner
how old is the earth|what color is the sky|why is the sky blue|how do airplanes fly|who discovered america|do you have feelings|do you love me
write python code|write a program that sorts a list|how do i write a letter|what is my name|where am i|where do you live|how old are you
what do you eat|can you drive|do you sleep|play a game with me|what is the fastest animal|how do magnets work|count to ten|how many people live in china
what is the longest river|who is taylor swift|recommend a book|what is the price of gold|how is the traffic|how do i get a job|what is love""".replace("\n", "|").split("|")
ONLY_WEIR = "I only know weir: its commands, options, formats and figures. Ask me about those, or for a little story."


def expand(text):
    """All readings of the alternatives in TEXT."""
    m = re.search(r"\{([^{}]*)\}", text)
    if not m:
        return [re.sub(r"\s+", " ", text).strip()]
    out = []
    for way in m.group(1).split("|"):
        out += expand(text[:m.start()] + way + text[m.end():])
    return out


def normal(question):
    return re.sub(r"[^a-z0-9]+", " ", question.lower()).strip()


def flag_names(name):
    """How people write the option NAME (with its dashes)."""
    bare = name.lstrip("-")
    out = [name, name, "the %s option" % name, "the %s flag" % name, "%s flag" % name, "option " + name]
    if len(bare) > 1:
        out += [bare, "the %s option" % bare, "-" + bare if name.startswith("--") else name, bare.replace("-", " ") + " option"]
    return out


class Fact:
    def __init__(self, name):
        self.name, self.forms, self.answers, self.default, self.example = name, {}, [], None, None
        self.asked = [] # whole questions in all the ways people put them

    def add(self, kind, text):
        if kind == "a":
            self.answers.append(text)
        elif kind == "def":
            self.default = text
        elif kind == "ex":
            self.example = text
        else:
            assert kind in ("n", "do", "can", "err", "q"), (self.name, kind)
            self.forms.setdefault(kind, []).extend(p.strip() for p in text.split("; "))


def read_facts(path):
    by_name, name = {}, None
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.strip()
            if line.startswith("## "):
                name = line[3:]
                if name not in by_name: # a second section of a name adds to the first
                    by_name[name] = Fact(name)
            elif line and not line.startswith("#"):
                kind, text = line.split(": ", 1)
                by_name[name].add(kind, text)
    for fact in by_name.values():
        assert fact.answers and fact.forms, fact.name
    return list(by_name.values())


def read_asked(path, facts):
    """Whole questions, a line each under the name of their fact; {a|b|} as everywhere."""
    by_name, fact = {f.name: f for f in facts}, None
    with open(path, encoding="utf-8") as f:
        for line in f:
            line = line.strip()
            if line.startswith("## "):
                fact = by_name[line[3:]]
            elif line and not line.startswith("#"):
                fact.asked.append(line)


def read_questions(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [line.split("\t")[0] for line in f if line.strip() and not line.startswith("#")]


class Corpus:
    """FAVOUR: what share of the questions about facts is about the first one, beside its own."""

    def __init__(self, seed, favour=0.0):
        self.rnd, self.favour = random.Random(seed), favour
        self.facts = read_facts(os.path.join(HERE, "companion_facts.txt"))
        self.talk = read_facts(os.path.join(HERE, "companion_talk.txt"))
        read_asked(os.path.join(HERE, "companion_asked.txt"), self.facts + self.talk)
        self.same = {}
        for entry in SAME:
            word, others = entry.split("=")
            self.same.setdefault(word, []).extend(others.split(","))
        self.held = {normal(q) for name in ("companion_questions.tsv", "companion_dev.tsv")
                     for q in read_questions(os.path.join(HERE, name))}
        self.n_refused = 0
        self.ready = {}

    # ---- one question ----

    def phrase(self, fact, kind):
        ready = self.ready.get((fact.name, kind))
        if ready is None: # one list for each phrase, so that one with many readings counts once
            ready = [expand(p) for p in fact.forms[kind]]
            if kind == "n":
                ready = [flag_names(r[0]) if r[0].startswith("-") and " " not in r[0] else r for r in ready]
            self.ready[fact.name, kind] = ready
        return self.rnd.choice(self.rnd.choices(ready, [min(len(r), 40) ** 0.5 for r in ready])[0])

    def reading(self, text):
        """One of the readings of the alternatives in TEXT."""
        return re.sub(r"\s+", " ", re.sub(r"\{([^{}]*)\}", lambda m: self.rnd.choice(m.group(1).split("|")), text)).strip()

    def typo(self, text):
        r, i = self.rnd.random(), self.rnd.randrange(len(text))
        if not text[i].isalpha():
            return text
        if r < 0.3:
            return text[:i] + text[i + 1:]
        if r < 0.5:
            return text[:i] + text[i] + text[i:]
        if r < 0.75:
            return text[:i] + text[i + 1:i + 2] + text[i] + text[i + 2:]
        return text[:i] + self.rnd.choice("abcdefghijklmnopqrstuvwxyz") + text[i + 1:]

    def dress(self, text, asks=True):
        """TEXT as somebody may type it."""
        rnd, text = self.rnd, text.lower()
        if rnd.random() < 0.45:
            words = text.split(" ")
            for i, w in enumerate(words):
                if w in self.same and rnd.random() < 0.4:
                    words[i] = rnd.choice(self.same[w])
            text = " ".join(words)
        r = rnd.random()
        if r < 0.06:
            kept = [w for w in text.split(" ") if w not in STOP]
            text = " ".join(kept) or text
        elif r < 0.15:
            words = text.split(" ")
            text = " ".join(w for w in words if w not in STOP or rnd.random() < 0.7) or text
        elif r < 0.17:
            words = text.split(" ")
            rnd.shuffle(words)
            text = " ".join(words)
        if "weir" in text and rnd.random() < 0.1:
            text = re.sub(r"\bweir\b", rnd.choice(["it", "this", "the program", "you"]), text, count=1)
        if rnd.random() < 0.16:
            text = rnd.choice(BEFORE) + " " + text
        if rnd.random() < 0.13:
            text += rnd.choice([" ", " ", ", "]) + rnd.choice(AFTER)
        if rnd.random() < 0.13:
            text = self.typo(text)
        if rnd.random() < 0.03:
            text = self.typo(text)
        r = rnd.random()
        if asks and r < 0.6:
            text += "?"
        elif r < 0.65:
            text += rnd.choice(["!", ".", "??", " ?", "..."])
        return text

    def ask(self, fact):
        """(question, answer) about FACT."""
        rnd = self.rnd
        kinds = list(fact.forms)
        weights = [{"n": 1.1, "do": 1.3, "q": 1.2, "can": 1, "err": 1.4}[k] for k in kinds]
        r = rnd.random()
        if fact.default and r < 0.12 and "n" in fact.forms:
            return rnd.choice(DEFAULT).replace("X", self.phrase(fact, "n")), fact.default
        if fact.example and r > 0.9 and "n" in fact.forms:
            return rnd.choice(EXAMPLE).replace("X", self.phrase(fact, "n")), fact.example
        if fact.asked and rnd.random() < 0.62:
            return self.reading(rnd.choice(fact.asked)), rnd.choice(fact.answers)
        kind = rnd.choices(kinds, weights)[0]
        text = self.phrase(fact, kind)
        frames = {"n": NOUN, "do": DO, "can": CAN, "err": ERR}.get(kind)
        if frames:
            mark = {"n": "X", "do": "V", "can": "P", "err": "E"}[kind]
            text = rnd.choice(frames).replace(mark, text)
        return text, rnd.choice(fact.answers)

    def turn(self):
        """(question, answer, fact or None)."""
        rnd = self.rnd
        while True:
            r, fact = rnd.random(), None
            if r < 0.86:
                fact = self.facts[0] if self.favour and rnd.random() < self.favour else rnd.choice(self.facts)
                q, a = self.ask(fact)
            elif r < 0.92:
                q, a = self.ask(rnd.choice(self.talk))
            elif r < 0.97:
                r = rnd.random()
                q = rnd.choice(OTHER_WHOLE) if r < 0.25 else \
                    rnd.choice(SUMS).replace("A", str(rnd.randint(1, 99))).replace("B", str(rnd.randint(1, 99))) if r < 0.35 else \
                    rnd.choice(["who is X", "who was X", "who's X", "tell me who X is", "do you know X"]).replace("X", rnd.choice(WHO_ELSE)) if r < 0.5 else rnd.choice(OTHER).replace("X", rnd.choice(TOPICS))
                a = ONLY_WEIR
            else:
                q, a = about(rnd)
            q = self.dress(q)
            if normal(q) in self.held:
                self.n_refused += 1
                continue
            return q, a, fact

    def conversation(self):
        """A list of (question, answer); lengths differ."""
        rnd, out = self.rnd, []
        while True:
            q, a, fact = self.turn()
            out.append((q, a))
            r = rnd.random()
            if fact and fact.default and r < 0.15:
                out.append((self.dress(rnd.choice(MORE_DEFAULT)), fact.default))
            elif fact and fact.example and r > 0.85:
                out.append((self.dress(rnd.choice(MORE_EXAMPLE)), fact.example))
            elif fact and r > 0.83:
                out.append((self.dress(rnd.choice(AGAIN)), a))
            if rnd.random() < 0.4:
                return out

    def system(self):
        """A system message or, mostly, None."""
        if self.rnd.random() > 0.04:
            return None
        return self.rnd.choice(["You are a helpful assistant.", "Answer in one sentence.", "Be brief.", "Be kind.", "You are weir.",
                                "Answer questions about weir.", "You are an expert.", "Speak plainly."])

    def plain(self):
        """Text that is no conversation: a story, or sentences about weir."""
        if self.rnd.random() < 0.7:
            return story(self.rnd)
        return " ".join(self.rnd.choice(f.answers) for f in self.rnd.sample(self.facts, 2))


def main():
    c = Corpus(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 10):
        for q, a in c.conversation():
            print("<", q)
            print(">", a)
        print()
    print(c.plain())


if __name__ == "__main__":
    main()
