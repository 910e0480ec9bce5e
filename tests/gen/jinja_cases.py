#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/files/jinja/language.json: small templates and what Python's jinja2 makes of them.

    python3 tests/gen/jinja_cases.py > tests/files/jinja/language.json
"""
import json
import sys

import jinja_env

VARS = {
    "s": "Hello, World", "e": "", "u": "Grüße, 世界! ß Σίσυφος", "n": 3, "z": 0, "f": 2.5, "neg": -7,
    "t": True, "no": False, "nul": None, "big": 1e300, "one": 1.0, "html": "<a href='x'>&\"</a>",
    "l": [3, 1, 2], "w": ["b", "A", "c", "B"], "mix": [1, "a", None, 2.5, True, [1, 2], {"k": "v"}],
    "el": [], "d": {"b": 1, "a": "x", "C": [1, 2]}, "ed": {},
    "users": [{"name": "Zoe", "age": 30, "x": {"y": 1}}, {"name": "adam", "age": 25, "on": True},
              {"name": "Bob", "age": 30, "x": {"y": None}}],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}, {"v": 5, "c": []}],
    "ml": "one\n  two\n\nthree  \n", "sp": "  \t pad \n", "q": "it's \"quoted\" \\ \n tab\t\u0007 \u00e9 \u200b \U0001f600",
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                 {"role": "assistant", "content": "Hello"}],
    "items_key": {"items": 1, "get": 2, "pop": 3, "_x": 4},
}

EXPRESSIONS = r"""
1 + 2 * 3
(1 + 2) * 3
-2 ** 2
2 ** 3 ** 2
2 ** -1
7 // 2
-7 // 2
7 % 3
-7 % 3
7 % -3
7.5 // 2
-7.5 // 2
7.5 % -2
1 / 2
4 / 2
1 // 0
1 % 0
1 / 0
1.0 / 0
0 ** -1
0.0 ** -1
(-8) ** 0.5
10 ** 18
10 ** 19
9223372036854775807 + 1
9223372036854775807
-9223372036854775807 - 1
1_000_000
0x1F + 0b101 + 0o17
1e3
1.5e-7
1e16
1e15
123456789012345.678
0.1 + 0.2
1e22
1e-5
0.0001
1.0
100000000000000000000.0
-0.0
+3
-n
- -3
+s
-s
n + s
s + n
s ~ n ~ f ~ none ~ true
s * 2
2 * s
l * 2
l + [4]
(1, 2) + (3,)
l + (1,)
s * -1
s - s
n + true
t + t
1 < 2 < 3
1 < 3 < 2
1 == 1.0
1 == true
'1' == 1
none == false
l == [3, 1, 2]
l == (3, 1, 2)
d == {'a': 'x', 'b': 1, 'C': [1, 2]}
l < [3, 2]
(1, 2) < (1, 2, 3)
'a' < 'b'
'a' < 1
none < 1
l < d
1 in l
5 not in l
'ell' in s
'x' in d
'b' in d
n in s
1 in n
none in mix
2.5 in mix
not t
not not e
not 1 == 2
t and s
e and s
e or s
z or none or el or 'last'
t and no or n
1 if t else 2
1 if no else 2
1 if no
(1 if no) is defined
'a' if no else 'b' if no else 'c'
1 if t else 2 if t else 3
[1, 2, 3]
[1, 'a', none, true, 1.0]
(1, 2)
(1,)
()
{}
{'a': 1, 'b': [1, {'c': none}]}
{1: 2, 'x': 3.5}
{1: 'a', 1.0: 'b', true: 'c'}
{[1]: 2}
{(1, 2): 3}
[1, 2,]
{'a': 1,}
'a' 'b' "c"
'it\'s'
"a\"b"
'\n\t\\ \x41 \u00e9 \U0001F600 \101 \q'
'\x4'
'\u12'
s[0]
s[-1]
s[100]
s[1:4]
s[:-1]
s[::-1]
s[::2]
s[10:2:-3]
s[1:100]
s[-3:]
s[5:2]
s[::0]
s[1:'a']
u[0:5]
u[-4:]
u[2]
u|length
l[0]
l[-1]
l[5]
l[1:]
l[::-1]
l[-2:]
l['0']
l[none]
l[1.0]
l[true]
d['a']
d.a
d.missing
d['missing']
d.missing.more
d['a':]
n[1:]
nul[1:]
missing[1:]
d[l]
nul.x
nul['x']
n.x
n[0]
users[0].name
users[0]['x'].y
users.0.name
users[1].x.y
users[1].x
missing
missing.x
missing['x']
missing + 1
missing ~ 'x'
missing == missing
missing == other
missing == none
missing != 1
missing < 1
missing()
-missing
missing in l
1 in missing
missing|length
missing or 'x'
missing and 'x'
not missing
[missing]
[missing, none, d.nope]
{'a': missing}
range(5)
range(2, 8, 2)
range(5, 0, -2)|list
range(0)
range(3)[1]
range(10)[2:5]
range(10)[::-2]|list
range(10)|last
range(5)|length
3 in range(5)
range(1, 2) == range(1, 3, 5)
range(100001)
range(100000)|length
range(1, 2, 0)
range('a')
range(2.0)
range()
dict(a=1, b=2)
dict({'a': 1}, b=2)
dict([['a', 1], ['b', 2]])
dict([1])
dict.fromkeys(['a', 'b'], 0)
namespace(a=1)
namespace(a=1).a
namespace({'a': 2}).a
namespace(_a=1)
namespace(a=1).b
namespace(a=1)['a']
cycler('a', 'b').next()
cycler()
joiner()()
d.items()
d.keys()
d.values()
d.items()|list
d.keys()|list
d.get('a')
d.get('nope')
d.get('nope', 5)
d.get()
d.get(l)
d.update({'x': 1})
d.update
d.pop('a')
d.copy()
d|length
ed.items()
items_key.items
items_key['items']
items_key.get
items_key['get']
items_key.pop
items_key['pop']
items_key['clear']
items_key._x
l.append(1)
l.append
l.index(1)
l.index(9)
l.count(1)
l.copy()
l.sort()
l.reverse()
(1, 2, 1).count(1)
'abc'.__class__
''.__class__.__mro__
l.__len__()
s.upper()
s.lower()
s.title()
s.capitalize()
s.swapcase()
u.upper()
u.lower()
u.title()
u.casefold()
u.capitalize()
'ǆ ﬁ ŉ İ'.upper()
'ǆ ﬁ ŉ İ'.lower()
'ǆ ﬁ ŉ'.title()
'ΑΣ ΑΣΑ Σ ΑΣ.'.lower()
"they're bill's".title()
'aʰb cʳd'.title()
sp.strip()
sp.lstrip()
sp.rstrip()
'xxabcxx'.strip('x')
'xyabcyx'.strip('xy')
'xxabc'.lstrip('x')
'abcxx'.rstrip('x')
'abc'.strip(none)
'abc'.strip(1)
'\u3000a\u00a0'.strip()
'a b  c '.split()
'a,b,,c'.split(',')
'a,b,,c'.split(',', 1)
'a b c d'.split(none, 2)
' a b '.split(' ')
'a b c'.split(maxsplit=1)
'abc'.split('')
''.split()
''.split(',')
'a,b,c'.rsplit(',', 1)
' a b c '.rsplit(none, 1)
'a  b c'.rsplit()
'</think>x</think>y'.split('</think>')[-1]
ml.splitlines()
ml.splitlines(true)
'a\r\nb\rc\x0bd\u2028e'.splitlines()
s.startswith('Hell')
s.startswith(('x', 'H'))
s.startswith(['H'])
s.startswith('W', 7)
s.startswith('')
'abc'.startswith('', 4)
s.endswith('ld')
s.endswith(('x', 'd'))
s.endswith('o', 0, 5)
s.find('o')
s.find('o', 5)
s.find('x')
u.find('世')
s.rfind('o')
s.index('W')
s.index('x')
s.rindex('o')
'abc'.find('', 3)
'abc'.find('', 4)
s.count('l')
s.count('')
'aaaa'.count('aa')
s.replace('l', 'L')
s.replace('l', 'L', 1)
'abc'.replace('', '-')
'abc'.replace('', '-', 2)
s.replace('l', '')
s.replace(1, 2)
','.join(['a', 'b'])
','.join([1, 2])
','.join('abc')
','.join(w|map('upper'))
'abc'.center(7)
'abc'.center(8, '*')
'ab'.center(5, '*')
'abc'.ljust(5) ~ '|'
'abc'.rjust(5, '.')
'abc'.rjust(5, '..')
'-42'.zfill(6)
'42'.zfill(1)
'a\tb'.expandtabs()
'a\tbc\td'.expandtabs(4)
'a=b=c'.partition('=')
'abc'.partition('=')
'a=b=c'.rpartition('=')
'abc'.rpartition('=')
'prefix-x'.removeprefix('prefix-')
'x-suffix'.removesuffix('-suffix')
'abc'.removeprefix('x')
'abc'.isalpha()
'abc1'.isalnum()
'12'.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½'.isnumeric()
''.isalpha()
''.isascii()
'é'.isascii()
'abc'.islower()
'aBc'.islower()
'ABC'.isupper()
'A1'.isupper()
'1'.isupper()
'Ab Cd'.istitle()
'Ab cd'.istitle()
' \t\u00a0'.isspace()
'a_1'.isidentifier()
'1a'.isidentifier()
'a\n'.isprintable()
'abc'.encode
'abc'.nope
'abc'.nope()
'{} {}'.format(1, 'a')
'{0} {1} {0}'.format('a', 'b')
'{a} {b}'.format(a=1, b=2)
'{x[a]} {x.b}'.format(x=d)
'{l[0]}'.format(l=l)
'{}'.format()
'{} {0}'.format(1)
'{'.format()
'}'.format()
'{{}}'.format()
'{:>5}|{:<5}|{:^5}|'.format('a', 'b', 'c')
'{:*^7}'.format('x')
'{:5}|{:5}|'.format('a', 1)
'{:05d} {:+d} {:x} {:#x} {:b} {:o} {:X}'.format(42, 42, 255, 255, 5, 8, 255)
'{:,} {:_}'.format(1234567, 1234567)
'{:,.2f}'.format(1234567.891)
'{:.2f} {:.0f} {:e} {:g} {:%}'.format(3.14159, 2.5, 12345.678, 0.00001, 0.25)
'{:.3}'.format(3.14159)
'{:.3}'.format(1234.5)
'{:.2}'.format(12.0)
'{:}'.format(2.0)
'{:10.3f}|'.format(3.14159)
'{:.2}'.format('abc')
'{:d}'.format('a')
'{:s}'.format(1)
'{!r} {!s}'.format('a', 'b')
'{!a}'.format('é')
'{:{}}'.format('x', 5)
'{:{w}.{p}f}'.format(3.14159, w=8, p=2)
'{}'.format(missing)
'{}'.format(none)
'{:5}'.format(none)
'{:d}'.format(true)
'{}'.format([1, 'a'])
'{a}'.format_map({'a': 1})
'{a.__class__}'.format(a=1)
'%s %s' % (1, 'a')
'%s' % 'a'
'%s' % [1]
'%d' % 3.9
'%d' % '3'
'%5d|%-5d|%05d|%+d|% d' % (1, 2, 3, 4, 5)
'%x %X %#x %o %#o' % (255, 255, 255, 8, 8)
'%f %.2f %e %g %G' % (1.5, 2.345, 12345.6, 1e-10, 1e20)
'%10s|%-10s|%.2s' % ('a', 'b', 'cde')
'%r %a' % ('é', 'é')
'%c%c' % (65, 'b')
'%%' % ()
'%(a)s %(b)d' % {'a': 1, 'b': 2}
'%s %s' % (1,)
'%s' % (1, 2)
'x' % 1
'x' % {}
'%*d' % (5, 42)
'%.*f' % (2, 3.14159)
'%y' % 1
'%' % 1
'%s' % missing
'%s' % none
'%i' % true
'%s' % ((1, 2),)
s|upper
s|lower
none|upper
12|upper
missing|upper
s|capitalize
'hello wORLD foo-bar (baz)'|title
"they're bill's"|title
u|title
sp|trim
'xxaxx'|trim('x')
5|trim
s|replace('o', '0')
s|replace('o', '0', 1)
12321|replace(2, 'x')
s|length
d|count
5|length
none|length
s|list
d|list
5|list
missing|list
s|string
5|string
[1]|string
none|string
'5'|int
'5.7'|int
'abc'|int
'abc'|int(7)
'0x1f'|int(0, 16)
'1f'|int(base=16)
'0b11'|int(0, 2)
'z'|int(0, 36)
' 42 '|int
'1_000'|int
'1__0'|int
'-5'|int
'+5'|int
'٣'|int
'1e3'|int
none|int
none|int(default=9)
2.9|int
-2.9|int
true|int
[1]|int
missing|int
'1.5'|float
'abc'|float
'abc'|float(1.5)
'inf'|float
'nan'|float
'1e5'|float
'1_0.5'|float
5|float
none|float
'0x10'|float
'infinity'|float
2.5|round
3.5|round
2.567|round(2)
2.567|round(1, 'floor')
2.511|round(1, 'ceil')
2.5|round(method='ceil')
42|round
1234|round(-2)
1250|round(-2)
1350|round(-2)
25.0|round(-1)
42|round(0, 'ceil')
2.5|round(1, 'x')
'a'|round
-2.5|round
1e20|round
5|abs
-5|abs
-2.5|abs
'a'|abs
missing|default('x')
missing|d('x')
missing|default
e|default('x')
e|default('x', true)
none|default('x')
none|d('x', boolean=true)
d.nope|default(5)
missing.x|default(1)
l|first
l|last
el|first
el|last
s|first
s|last
d|first
d|last
5|first
l|min
l|max
w|min
w|max
w|min(true)
w|max(case_sensitive=true)
el|min
users|min(attribute='age')
users|max(attribute='age')
mix|min
l|sum
el|sum
users|sum(attribute='age')
users|sum('age')
l|sum(start=10)
w|sum
[[1], [2]]|sum(start=[])
l|sort
l|sort(reverse=true)
w|sort
w|sort(case_sensitive=true)
users|sort(attribute='name')|map(attribute='name')|list
users|sort(attribute='age,name')|map(attribute='name')|list
users|sort(attribute='age', reverse=true)|map(attribute='name')|list
mix|sort
users|sort
d|sort
d|dictsort
d|dictsort(true)
d|dictsort(false, 'value')
{'a': 2, 'b': 1}|dictsort(by='value')
{'a': 2, 'b': 1}|dictsort(reverse=true)
d|dictsort(by='x')
l|dictsort
l|reverse
l|reverse|list
s|reverse
d|reverse|list
range(3)|reverse|list
5|reverse
w|unique|list
w|unique(true)|list
[1, 1.0, true, 'a', 'A']|unique|list
users|unique(attribute='age')|map(attribute='name')|list
[[1], [1]]|unique|list
w|join
w|join(', ')
w|join(', ')|length
l|join('-')
users|join(',', attribute='name')
users|join(attribute='name')
mix|join(' ')
missing|join
5|join
s|join('.')
l|batch(2)|list
l|batch(2, 'x')|list
range(7)|batch(3)|map('list')|list
range(7)|slice(3)|list
range(7)|slice(3, 'x')|list
l|slice(0)|list
users|groupby('age')|list
users|groupby('age')|map(attribute='grouper')|list
(users|groupby('age'))[0].list|length
users|groupby('name')|map('first')|list
users|groupby('nope', default='none')|map('first')|list
w|groupby(0)|list
d|items|list
missing|items|list
l|items|list
w|map('upper')|list
w|map('upper')
w|map('replace', 'b', 'x')|list
w|map('nope')|list
users|map(attribute='name')|list
users|map(attribute='x.y')|list
users|map(attribute='on', default=false)|list
users|map(attribute='nope')|list
users|map()|list
el|map()|list
users|map(foo=1)|list
w|map(attribute=0)|list
mix|select|list
mix|reject|list
mix|select('string')|list
mix|select('number')|list
l|select('odd')|list
l|select('gt', 1)|list
l|reject('equalto', 1)|list
l|select('in', [1, 2])|list
l|select('nope')|list
users|selectattr('on')|map(attribute='name')|list
users|selectattr('age', 'eq', 30)|list|length
users|selectattr('x.y', 'none')|map(attribute='name')|list
users|rejectattr('x', 'defined')|map(attribute='name')|list
users|rejectattr('on')|map(attribute='name')|list
users|selectattr()|list
messages|selectattr('role', '==', 'user')|map(attribute='content')|first
(messages|selectattr('role', 'equalto', 'system')|list)[0].content
none|select|list
5|select|list
s|format
'%s-%s'|format(1, 2)
'%(a)s'|format(a=1)
'%s'|format(1, a=2)
ml|indent
ml|indent(2)
ml|indent(2, true)
ml|indent(2, true, true)
ml|indent('> ')
ml|indent(width=1, blank=true)
none|indent
''|indent
s|center(20) ~ '|'
'foo bar baz qux'|truncate(9)
'foo bar baz qux'|truncate(9, true)
'foo bar baz qux'|truncate(11)
'foo bar baz qux'|truncate(11, false, '...', 0)
'foo bar baz qux'|truncate(2)
s|wordcount
u|wordcount
'a/b c&d=é'|urlencode
{'a b': 'c/d', 'e': 1}|urlencode
[('a', 1), ('b', '&')]|urlencode
12|urlencode
html|e
html|escape
html|e|e
html|forceescape
html|safe
(html|safe) ~ '<b>'
(html|safe) + '<b>'
'<b>' + (html|e)
['<'|e]
'<b>'|e is escaped
'<b>' is escaped
html|e|string
html|string|e
none|e
5|e
missing|e
{'a': 1, 'b': none, 'c': '<'}|xmlattr
{'a b': 1}|xmlattr
d|tojson
mix|tojson
q|tojson
q|tojson(ensure_ascii=true)
d|tojson(indent=2)
d|tojson(2)
d|tojson(true, 2)
d|tojson(indent='\t')
d|tojson(indent=0)
[[], {}, [1]]|tojson(indent=1)
d|tojson(separators=(',', ':'))
d|tojson(separators=[',', ':'], sort_keys=true)
d|tojson(sort_keys=true)
d|tojson(indent=2, separators=(', ', ' = '))
{1: 2, 2.5: 3, none: 4, true: 5}|tojson
{1: 2, 'a': 3}|tojson(sort_keys=true)
(1, 2)|tojson
missing|tojson
[missing]|tojson
range(3)|tojson
namespace(a=1)|tojson
1.0|tojson
1e100|tojson
'inf'|float|tojson
'nan'|float|tojson
none|tojson
true|tojson
html|tojson
'</script>'|tojson
{(1, 2): 3}|tojson
1536|filesizeformat
1536|filesizeformat(true)
1|filesizeformat
999|filesizeformat
'2e7'|filesizeformat
users[0]|attr('name')
s|attr('upper')() 
s|attr('nope')
namespace(a=1)|attr('a')
5 is odd
4 is even
4 is odd
9 is divisibleby 3
9 is divisibleby(4)
s is defined
missing is defined
missing is not defined
missing is undefined
d.a is defined
d.nope is defined
nul is none
missing is none
s is string
5 is string
5 is number
5.5 is number
true is number
true is boolean
1 is boolean
true is true
1 is true
false is false
5 is integer
5.0 is integer
true is integer
5.0 is float
d is mapping
l is mapping
l is sequence
s is sequence
d is sequence
5 is sequence
d.items() is sequence
range(2) is sequence
missing is sequence
l is iterable
5 is iterable
missing is iterable
d.items() is iterable
s is iterable
range is callable
s.upper is callable
s is callable
missing is callable
namespace is callable
1 is sameas 1
none is sameas none
true is sameas 1
l is sameas l
l is sameas [3, 1, 2]
'abc' is lower
'ABC' is upper
'1' is lower
'1' is upper
1 is in [1, 2]
1 is in l
'x' is in 'xyz'
1 is eq 1
1 is equalto 2
1 is ne 2
2 is gt 1
2 is greaterthan 1
1 is lt 2
1 is lessthan 2
1 is ge 1
1 is le 0
1 is == 1
'upper' is filter
'nope' is filter
'odd' is test
'nope' is test
1 is nope
s|nope
s|upper|lower|title
s is string and n is number
not s is string
s is not string
1 is not odd is true
-5|abs
-f|abs
2 ** 2|int
n is odd or x
'a' if n is odd else 'b'
l|length > 2
l|length + 1
(l|length) * 2
s|upper ~ s|lower
1 ~ 2 + 3
1 + 2 ~ 3
1 ~ 2 * 3
not t and no
[x for x in l]
lambda: 1
a.b.
(1
[1
{1
1 +
|upper
1 2
a b
'abc
"abc
1..2
1.
.5
@
a!b
a ? b
a = 1
a := 1
x if
is defined
s is
f(a=1, 2)
dict(a=1, a=2)
dict(*[{'a': 1}])
dict(**{'a': 1})
dict(**5)
dict(**{1: 2})
range(*[1, 4])|list
range(*5)
'{}-{}'.format(*['a', 'b'])
'{a}'.format(**{'a': 5})
raise_exception('no')
raise_exception()
strftime_now('%Y-%m-%d')
strftime_now('%d %B %Y %H:%M:%S %A %j %p')
strftime_now('')
strftime_now()
true
True
false
False
none
None
null
true.x
loop
self
caller
caller()
super()
varargs
nul
u
q
[q]
['it"s', "it's", 'both\'"']
['\x7f\x80\xa0\xad\u200b\ue000\u0378\U0001F600\U000E0001']
big
[big, -big, one, 1e16, 1.5e-5]
1.1 * 3
3.0
1e5
2.675 * 100
5 // 0.3
n.real
n.bit_length()
f.is_integer()
d.a.upper()
users|length
users[-1].name|upper
users|map(attribute='name')|map('lower')|sort|join(', ')
'a' in d and 'b' in d.keys()
1 in d.values()
('a', 'x') in d.items()
d.keys() == {'b': 0, 'a': 0, 'C': 0}.keys()
d.items()|first
[d.items()]
d.keys()[0]
l|map('string')|join
messages[0]
messages|tojson
messages[0].role == 'system' and messages[0]['content'] or ''
messages[1:]|map(attribute='role')|join(',')
messages[-1]['content'][:2]
loop.index
[1, 2][0]
{'a': 1}['a']
{'a': 1}.a
'abc'[1]
'%s'[0]
(1, 2)[1]
(l)[0]
(1, 2, 3)[1:]
[[1, 2], [3]]|map('length')|list
[[1, 2], [3]]|map('join', '-')|list
[1, 2, 3]|map('string')|map('int')|sum
['a', 'b']|map('format', 1)|list
['%s']|map('format', 1)|list
[3, 1]|map('default', 5)|list
[1]|map('tojson')|join
w|select('upper')|list
w|reject('in', ['A'])|list
users|map(attribute='age')|unique|list
users|map(attribute='age')|sum
users|map(attribute='name')|join|length
s|list|length
(s|list)[:3]
s.split(', ')|map('lower')|list
s.split(', ')[1]|first
s|replace('Hello', 'Bye')|upper|replace('BYE', 'x')
"\t"
'\0'
"a" "b"|upper
""
""|length
"\\n"
'{{ }}'
'{% %}'
"%}"
"}}"
{'a': {'b': {'c': 1}}}.a.b.c
{'a':{'b':1}}
-1 is odd
10 is divisibleby 0
'a' is odd
2.0 is even
s is in d
1 is in 5
loop is defined
range is defined
namespace is defined
lipsum is undefined or true
d|d('x')
n|d
l|sort|first
l|sort|last
d.values()|list|length
d|length if d else 0
(n, f)|sum
(n > 2) and (n < 4)
n == 3 == true
1 < 2 == true
1 in [1] == true
1 not in [2, 3] and true
s.lower().replace('world', 'x').split(', ')[1]
s.lower  ()
s  .  lower()
s [0]
d . a
n|string|int + 1
'x'.join(['a'])
' '.join(messages|map(attribute='role'))
'abc'|batch(2)|list
''.join(['a', 'b'])|upper
"a"|indent(2, first=true)
"a\nb"|indent(2, first=True)
"a\n\nb"|indent(2, blank=True)
"a\r\nb"|indent(2)
5 ~ 5
none ~ none
[] ~ {}
1.0 ~ ''
true ~ ''
"é" < "z"
"Z" < "a"
[1, [2, 3]] == [1, [2, 3]]
[1, 2] != [1, 3]
[nul] == [none]
{} == {}
{} == []
1.5 == 1.5
0.1 + 0.2 == 0.3
9007199254740993 == 9007199254740992.0
"a" * 3
"ab" * 0
[0] * 3
"a" * 1.5
3 * (1, 2)
"=" * 20
1000000 * 1000000 * 1000000
99999999999 * 99999999999
5 - 7
5 - 7.0
2 - true
""" .splitlines()

# What we refuse and Python does not: integers of more than 64 bits, complex numbers, `self`.
REFUSED = {"{{ " + e + " }}" for e in (
    "(-8) ** 0.5", "10 ** 19", "9223372036854775807 + 1", "99999999999 * 99999999999", "self")}

TEMPLATES = [
    # output and white space
    "", "plain", "a\n", "a\n\n", "a\r\nb\rc\n", "\n", "{{ s }}\n", "{{ s }}\n\n",
    "a {{ n }} b", "{{n}}{{n}}", "{{- n -}}", "  {{- n -}}  x", "a\n  {{- n }}\n b", "{{+ n }}", "{{-1}}",
    "{{ -1 }}", "  {{ n }}  \n", "{# c #}", "a{# c #}b", "a {#- c -#} b", "  {# c #}\nx", "a {# c #}\nx",
    "{# c\nd #}\n\nx", "{#}", "{# #", "{# {% x %} {{ y }} #}ok", "{#+ c +#}\nx", "  {#+ c #}x",
    "{% if t %}x{% endif %}", "{% if t %}\nx\n{% endif %}\ny", "  {% if t %}\n  x\n  {% endif %}\n  y",
    "a  {% if t %}x{% endif %}  b", "a\n  {%- if t %}\nx{% endif %}", "a\n  {%+ if t %}\nx{% endif %}",
    "{% if t +%}\nx{% endif +%}\ny", "{% if t -%}\n\n  x  \n{%- endif -%}\n y", "a {%- if t -%} b {%- endif -%} c",
    "{% if t %} x {% endif %}\n\n y", "\t{% if t %}\tx\t{% endif %}\t\n", "x{% if t %}\r\ny{% endif %}",
    "{%if t%}x{%endif%}", "{%-if t-%} x {%-endif-%}", "{% if t: %}x{% endif %}",
    "{% raw %}{{ x }} {% if %}{% endraw %}", "{% raw -%}  a  {%- endraw %}", "{%- raw -%}\n {{ }} \n{%- endraw -%}\nx",
    "{% raw %}\na\n{% endraw %}\nb", "  {% raw %}a{% endraw %}\nb", "{% raw %}a", "{%  raw  %}{#{% endraw %}",
    "{% raw +%}x{% endraw %}", "{% raw %}x{% endraw +%}\ny", "a\n   {% raw %}b{% endraw %}",
    "{% set x = 1 %}\n{{ x }}\n", "{% set x = 1 -%}\n\n{{ x }}", "   {% set x = 1 %}   \ny",
    "{{ '{{' }}{{ '}}' }}", "{{ {'a': {'b': 1}} }}", "{{ {'a': {'b': 1}}}}", "{{ '%}' }}", "{% set x = '%}' %}{{ x }}",
    "{ { x } }", "{x}", "{", "{{", "{{ x", "{%", "{% if", "{% if t %}", "{% endif %}", "{% else %}", "%}", "}}", "#}",
    "{{ }}", "{% %}", "{%- -%}", "{{ x }", "{{ (x }}", "{{ x) }}", "{{ [x) }}",
    "a\u00a0{%- if t %}b{% endif %}", "\u00a0 {% if t %}b{% endif %}", "x\n\u2003{% if t %}b{% endif %}",
    "line1\n{% if t %}\n  line2\n{% endif %}\nline3\n", "{% for i in l %}\n- {{ i }}\n{% endfor %}\nend\n",
    "{%- for i in l -%}\n- {{ i }}\n{%- endfor -%}\nend\n", "{% for i in l %}{{ i }}{% endfor %}",
    "a{% if t %}\n{% endif %}\n{% if t %}\n{% endif %}\nb", "{{ n }}{% if t %} {% endif %}\n",
    # if
    "{% if no %}a{% elif n %}b{% else %}c{% endif %}", "{% if no %}a{% elif no %}b{% else %}c{% endif %}",
    "{% if no %}a{% elif no %}b{% elif t %}d{% endif %}", "{% if missing %}a{% else %}b{% endif %}",
    "{% if el or ed or e or z or nul %}a{% else %}b{% endif %}", "{% if s and n > 2 %}y{% endif %}",
    "{% if %}x{% endif %}", "{% if t %}x{% else %}y{% else %}z{% endif %}", "{% if 1, 0 %}x{% endif %}",
    "{% if not messages[0].nope %}y{% endif %}", "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% endif %}",
    # for
    "{% for x in l %}{{ x }},{% endfor %}", "{% for x in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}",
    "{% for x in [] %}a{% else %}b{% endfor %}", "{% for x in l %}{{ x }}{% else %}b{% endfor %}",
    "{% for x in l if x > 1 %}{{ loop.index }}:{{ x }}/{{ loop.length }} {% endfor %}", "{% for x in l if x > 9 %}{{ x }}{% else %}none{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}", "{% for k, v in d|dictsort %}{{ k }}{{ v }}{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}{{ b }}{% endfor %}", "{% for a, (b, c) in [[1, [2, 3]]] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}", "{% for a, b in [1] %}{{ a }}{% endfor %}", "{% for (a, b) in [[1, 2]] %}{{ a }}{{ b }}{% endfor %}",
    "{% for c in s %}{{ c }}.{% endfor %}", "{% for c in u %}{{ c }}.{% endfor %}", "{% for x in 5 %}a{% endfor %}", "{% for x in nul %}a{% endfor %}", "{% for x in missing %}a{% else %}b{% endfor %}",
    "{% for x in l %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}", "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in l %}{% break %}{% else %}E{% endfor %}", "{% for x in l %}{% continue %}{% else %}E{% endfor %}", "{% for x in l %}{{ x }}{% break %}{% endfor %}{{ x }}",
    "{% break %}", "{% continue %}", "{% if t %}{% break %}{% endif %}", "{% for x in l %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for x in l %}{% filter upper %}a{% break %}b{% endfilter %}{% endfor %}", "{% for x in l %}{% set y %}a{% break %}{% endset %}{{ y }}{% endfor %}",
    "{% for x in l %}{% with a = x %}{{ a }}{% break %}{% endwith %}{% endfor %}", "{% for x in l %}{% for y in l %}{% break %}{% else %}{% endfor %}{{ x }}{% endfor %}",
    "{% for x in l %}{% for y in w %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}", "{% for x in l %}{% set outer = loop %}{% for y in w %}{{ outer.index }}{% endfor %}{% endfor %}",
    "{% for x in l %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for x in l %}{{ loop.cycle() }}{% endfor %}", "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in l %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }} {% endfor %}", "{% for x in l %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }}{% endfor %}",
    "{% for x in l %}{{ loop.nextitem.foo }}{% endfor %}", "{% for x in l %}{{ loop }}{% endfor %}", "{% for x in l %}{{ loop.depth }}{{ loop.depth0 }}{% endfor %}", "{% for x in l %}{{ loop.nope }}{{ loop|length }}{% endfor %}",
    "{% for n in tree recursive %}{{ n.v }}({{ loop.depth }}){% if n.c %}[{{ loop(n.c) }}]{% endif %}{% endfor %}", "{% for n in tree %}{{ loop(n.c) }}{% endfor %}",
    "{% for n in tree recursive %}{{ n.v }}{{ loop(n.c) }}{% else %}.{% endfor %}", "{% for x in l recursive %}{{ loop([]) }}{{ x }}{% endfor %}",
    "{% for x in l %}{% set loop = 1 %}{% endfor %}", "{% for loop in l %}{% endfor %}", "{% for x in l %}{% set n = x %}{% endfor %}{{ n }}", "{% set y = 0 %}{% for x in l %}{% set y = y + x %}{{ y }}{% endfor %}{{ y }}",
    "{% for x in l %}{{ y is defined }}{% set y = x %}{{ y }}{% endfor %}", "{% for x in range(3) %}{% for x in range(2) %}{{ x }}{% endfor %}{{ x }};{% endfor %}", "{% for x in l %}{% endfor %}{{ x is defined }}",
    "{% for x in x %}{% endfor %}", "{% set x = [1] %}{% for x in x %}{{ x }}{% endfor %}{{ x }}", "{% for x in l|sort %}{{ x }}{% endfor %}", "{% for x in l|map('string') %}{{ x }}{{ loop.last }}{{ loop.length }}{% endfor %}",
    "{% for x in users|groupby('age') %}{{ x.grouper }}:{% for u in x.list %}{{ u.name }} {% endfor %}{% endfor %}", "{% for i in range(3) %}{{ i }}{% endfor %}", "{% for x in l, w %}{{ x }}{% endfor %}", "{% for x in 1, 2, 3 %}{{ x }}{% endfor %}", "{% for x in (1,) %}{{ x }}{% endfor %}",
    "{% for x in l if loop.index > 1 %}{{ x }}{% endfor %}", "{% for x in l %}{% for y in l if loop.first %}{{ y }}{% endfor %}{% endfor %}", "{% for x in l", "{% for x l %}{% endfor %}", "{% for in l %}{% endfor %}", "{% for 1 in l %}{% endfor %}", "{% for x.y in l %}{% endfor %}", "{% for x in l %}", "{% for x in l %}{% endif %}",
    "{% set it = l|map('string') %}{{ it|list }}{{ it|list }}", "{% set it = l|select('odd') %}{{ it|first }}{{ it|list }}", "{% set it = d|items %}{% for k, v in it %}{{ k }}{% endfor %}{% for k, v in it %}{{ k }}{% endfor %}", "{% set it = l|reverse %}{{ it|list }}{{ it|list }}",
    "{% set ns = namespace(n=0) %}{% for x in l if ns.n < 2 %}{% set ns.n = ns.n + 1 %}{{ x }}{% endfor %}",
    # set
    "{% set x = 1 %}{{ x }}", "{% set x, y = 1, 2 %}{{ x }}{{ y }}", "{% set x, y = [1, 2] %}{{ x }}{{ y }}", "{% set x, y = 'ab' %}{{ x }}{{ y }}", "{% set (x, y) = (1, 2) %}{{ x }}", "{% set x, y = 1 %}", "{% set x, y = 1, 2, 3 %}", "{% set x = 1, 2 %}{{ x }}", "{% set x = 1, %}{{ x }}", "{% set x = y = 1 %}", "{% set x %}", "{% set 1 = 2 %}", "{% set true = 1 %}", "{% set a.b = 1 %}", "{% set s.b = 1 %}", "{% set d.b = 1 %}", "{% set l[0] = 1 %}",
    "{% set x %}a{{ n }}{% endset %}[{{ x }}]", "{% set x | upper %}a{{ n }}{% endset %}{{ x }}", "{% set x | upper | replace('A', 'b') %}a{% endset %}{{ x }}", "{% set x %}{% set y = 1 %}{{ y }}{% endset %}{{ x }}{{ y }}", "{% if t %}{% set x = 1 %}{% endif %}{{ x }}", "{% if no %}{% set x = 1 %}{% endif %}{{ x }}", "{{ x }}{% set x = 1 %}{{ x }}", "{% set s = s ~ '!' %}{{ s }}", "{% set x = x %}{{ x }}", "{% set x = x ~ 'a' %}{{ x }}",
    "{% set ns = namespace() %}{% set ns.a = 1 %}{{ ns.a }}", "{% set ns = namespace(found=false) %}{% for x in l %}{% if x == 1 %}{% set ns.found = true %}{% endif %}{% endfor %}{{ ns.found }}", "{% set ns = namespace(l=[]) %}{% for x in l %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.l }}", "{% set ns = namespace(s='') %}{% for x in w %}{% set ns.s = ns.s ~ x %}{% endfor %}{{ ns.s }}", "{% set ns = namespace() %}{% set ns._a = 1 %}", "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace(a=1) %}{{ ns }}", "{% set ns = namespace() %}{% set ns.x %}blk{% endset %}{{ ns.x }}", "{% set ns = namespace() %}{% set ns.a.b = 1 %}", "{% set nope.a = 1 %}", "{% set namespace = 1 %}{{ namespace }}", "{% set range = 5 %}{{ range }}",
    # macro and call
    "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m(1) }}{{ m('x') }}", "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(1, b=4) }}{{ m(b=1, a=2) }}", "{% macro m(a) %}{{ a }}{% endmacro %}[{{ m() }}]", "{% macro m(a) %}{{ a.x }}{% endmacro %}{{ m() }}", "{% macro m() %}x{% endmacro %}{{ m(1) }}", "{% macro m() %}x{% endmacro %}{{ m(a=1) }}", "{% macro m(a) %}x{% endmacro %}{{ m(1, a=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, a=3) }}", "{% macro m(a) %}{{ varargs }}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}", "{% macro m(a=b, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}", "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{% macro m() %}{{ n }}{% endmacro %}{{ m() }}", "{% set v = 1 %}{% macro m() %}{{ v }}{% endmacro %}{% set v = 2 %}{{ m() }}", "{% macro m() %}{% set v = 5 %}{{ v }}{% endmacro %}{{ m() }}{{ v }}", "{% macro a() %}A{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}", "{% macro r(n) %}{{ n }}{% if n > 0 %}{{ r(n - 1) }}{% endif %}{% endmacro %}{{ r(3) }}", "{{ m() }}{% macro m() %}x{% endmacro %}", "{% macro m() %}  x  {% endmacro %}[{{ m()|trim }}]", "{% macro m() %}\n  x\n{% endmacro %}[{{ m() }}]", "{% macro m() %}x{% endmacro %}{{ m }}{{ m.name }}{{ m.arguments }}", "{% macro m(a, b) %}x{% endmacro %}{{ m.arguments }}{{ m.catch_kwargs }}{{ m.caller }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}x{{ n }}{% endcall %}", "{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}", "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}{% call m() %}{% endcall %}", "{% macro m(caller) %}{{ caller() }}{% endmacro %}", "{% macro m(caller=none) %}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m(x) %}{{ x }}{{ caller() }}{% endmacro %}{% call m(5) %}{% set n = 9 %}{{ n }}{% endcall %}{{ n }}", "{% call 5 %}{% endcall %}", "{% call m %}{% endcall %}", "{% call range(3) %}{% endcall %}", "{% macro m() %}{% for x in l %}{{ caller(x) }}{% endfor %}{% endmacro %}{% call(i) m() %}{{ i }},{% endcall %}", "{% for x in l %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}", "{% macro outer() %}{% macro inner() %}i{% endmacro %}{{ inner() }}{% endmacro %}{{ outer() }}{{ inner is defined }}",
    # filter, with, block, others
    "{% filter upper %}abc{{ s }}{% endfilter %}", "{% filter upper|replace('A', 'x') %}abc{% endfilter %}", "{% filter indent(2) %}a\nb{% endfilter %}", "{% filter trim %}  a  {% endfilter %}", "{% filter nope %}a{% endfilter %}", "{% filter upper %}{% set x = 1 %}{% endfilter %}{{ x }}", "{% filter %}a{% endfilter %}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set q = 1 %}{{ q }}{% endwith %}", "{% with n = 5, m = n %}{{ n }}{{ m }}{% endwith %}{{ n }}", "{% with a, b = 1 %}{% endwith %}", "{% with a %}{% endwith %}", "{% with a = 1 %}{% set n = 7 %}{% endwith %}{{ n }}",
    "{% block b %}x{{ n }}{% endblock %}", "{% block b %}x{% endblock b %}", "{% block a %}{% endblock %}{% block a %}{% endblock %}", "{% set v = 1 %}{% block b %}{{ v }}{% endblock %}", "{% for x in l %}{% block b %}{{ x }}{% endblock %}{% endfor %}", "{% for x in l %}{% block b scoped %}{{ x }}{% endblock %}{% endfor %}",
    "{% autoescape false %}{{ html }}{% endautoescape %}", "{% print n %}", "{% print n, s %}", "{% print %}", "{% do l.append(1) %}", "{% foo %}", "{% include 'x' %}", "{% if no %}{% include 'x' %}{% endif %}ok", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}", "{% generation %}a{{ n }}{% endgeneration %}", "{%- generation -%} a {%- endgeneration -%} b", "{% generation %}{% set x = 1 %}{% endgeneration %}{{ x }}", "{% for x in l %}{% generation %}{% break %}{% endgeneration %}{% endfor %}", "{% generation %}", "{% trans %}x{% endtrans %}", "{% debug %}", "{% 5 %}", "{% endfor %}",
    # unknown names, where they are reached and where not
    "{% if no %}{{ s|nope }}{% endif %}ok", "{% if t %}{{ s|nope }}{% endif %}", "{{ s|nope if no else 'ok' }}", "{{ s is nope }}", "{% if no %}{{ s is nope }}{% endif %}ok", "{% if no %}{% for x in l %}{{ x|nope }}{% endfor %}{% endif %}", "{% for x in [] %}{{ x|nope }}{% endfor %}", "{% macro m() %}{{ x|nope }}{% endmacro %}", "{% if no %}{% for x in l|nope %}{% endfor %}{% endif %}ok", "{% if no %}{% set x %}{{ 1|nope }}{% endset %}{% endif %}ok", "{{ [] |map('nope')|list }}", "{% if no %}{{ 1|striptags }}{% endif %}ok",
    # objects
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.current }}", "{% set j = joiner('|') %}{% for x in l %}{{ j() }}{{ x }}{% endfor %}", "{% set j = joiner() %}{{ j() }}a{{ j() }}b", "{{ joiner(sep='-') is defined }}", "{{ joiner(1, 2) }}",
    "{% set x = l %}{% set y = x + [4] %}{{ x }}{{ y }}", "{% set a = 'x' %}{% set b = a + 'y' %}{% set c = a + 'z' %}{{ a }}{{ b }}{{ c }}", "{% set a = s + '!' %}{% set b = a + '?' %}{% set c = a + '#' %}{{ a }}{{ b }}{{ c }}",
    "{{ '<' ~ ('&'|e) }}", "{% set x %}<{% endset %}{{ x ~ '>' }}", "{{ ('<a>'|e) ~ '<b>' }}", "{{ ('<a>'|e).upper() }}", "{{ ['<'|safe, '>'] | join }}", "{{ ('%s'|e) % '<' == '<' }}",
    "{{ u }}{{ u|upper }}{{ u|length }}{{ u[:3] }}", "{{ 'ü' in u }}{{ u.replace('世', 'x') }}", "{{ 変数 }}", "{% set 変 = 1 %}{{ 変 }}", "{% set é_1 = 2 %}{{ é_1 }}", "{{ a€ }}", "{{ ² }}",
    # who owns a name, and when
    "{% macro m() %}{{ n }}{% endmacro %}{{ m() }}|{% set n = 1 %}{{ m() }}", "{{ n }}{% macro m() %}{{ n }}{% endmacro %}{{ m() }}|{% set n = 1 %}{{ m() }}",
    "{% for y in l %}{% macro m() %}[{{ n }}]{% endmacro %}{{ m() }}{% set n = y %}{{ m() }}{% endfor %}", "{% for y in l %}{% macro m() %}[{{ n }}]{% endmacro %}{{ m() }}{% if t %}{% set n = y %}{% endif %}{{ m() }}{% endfor %}",
    "{% set q = 1 %}{% for y in l %}{% for z in w %}{{ q }}{% endfor %}{% set q = y %}{% for z in w %}{{ q }}{% endfor %};{% endfor %}", "{% for y in l %}{% for z in w %}{{ n }}{% endfor %}{% set n = y %}{% endfor %}", "{% if t %}{% set n = 5 %}{% endif %}{% macro m() %}{{ n }}{% endmacro %}{{ m() }}", "{% if no %}{% set n = 5 %}{% endif %}{% macro m() %}{{ n }}{% endmacro %}{{ m() }}",
    "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ s }}{% endmacro %}{{ a() }}{% set s = 2 %}", "{% with %}{% macro m() %}{{ s }}{% endmacro %}{{ m() }}{% set s = 1 %}{{ m() }}{% endwith %}", "{% macro m(x=n) %}{{ x }}{% set n = 1 %}{% endmacro %}{{ m() }}", "{% set n %}{{ n }}{% endset %}{{ n }}", "{% filter upper %}{% for i in l %}{{ s }}{% endfor %}{% set s = 1 %}{% endfilter %}", "{% set s, n = n, s %}{{ s }}{{ n }}",
    # found by comparing random templates
    "a{% raw %}", "a{#", "a{% raw -%}  \n", "{% filter length %}abc{% endfilter %}", "{% call dict() %}{% endcall %}", "{% call range(2) %}{% endcall %}", "{{ missing|last }}", "{{ missing|reverse|list }}", "{{ 'ab'|sort(attribute='x') }}", "{{ [1, 2]|truncate(7) }}", "{{ big|filesizeformat }}", "{% for a, b in [[1, 2], [3, 4]] if a %}{{ loop.previtem }}{% endfor %}", "{% for a, (b, c) in [[1, 'xy'], [3, 'zw']] if a %}{{ loop.previtem }}{% endfor %}",
    # the shape of real templates
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "{%- if messages[0].role == 'system' %}{% set sys = messages[0].content|trim %}{% set messages = messages[1:] %}{% else %}{% set sys = '' %}{% endif %}{{ sys }}{% for m in messages %}{{ loop.index0 }}{{ m.content }}{% endfor %}",
    "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('alternate') }}{% endif %}{% endfor %}",
    "{% set ns = namespace(last=-1) %}{% for m in messages[::-1] %}{% set i = (messages|length - 1) - loop.index0 %}{% if ns.last < 0 and m.role == 'user' %}{% set ns.last = i %}{% endif %}{% endfor %}{{ ns.last }}",
    "{% macro p(x) %}{%- if x is mapping -%}{ {%- for k, v in x|items -%}{{ k }}: {{ p(v) }}{{ ', ' if not loop.last }}{%- endfor -%} }{%- elif x is string -%}'{{ x }}'{%- elif x is sequence -%}[{%- for i in x -%}{{ p(i) }}{{ ', ' if not loop.last }}{%- endfor -%}]{%- else -%}{{ x }}{%- endif -%}{% endmacro %}{{ p(mix) }}{{ p(d) }}",
]


def main():
    cases = []
    for e in EXPRESSIONS:
        if e:
            cases.append("{{ " + e + " }}")
    cases += TEMPLATES
    out = []
    for t in cases:
        o = jinja_env.render(t, VARS)
        if t in REFUSED or (o is not None and " at 0x" in o):
            continue  # refused, or an address
        out.append({"t": t, "o": o})
    head = {"v": VARS}
    print("[" + json.dumps(dict(out[0], **head), ensure_ascii=False) + ",")
    print(",\n".join(json.dumps(c, ensure_ascii=False) for c in out[1:]) + "]")
    print(len(out), "cases,", sum(c["o"] is None for c in out), "errors", file=sys.stderr)


if __name__ == "__main__":
    main()
