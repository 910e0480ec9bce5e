# SPDX-License-Identifier: MIT
"""Chat templates as Python renders them: the environment that transformers makes, with a fixed clock.

Taken from transformers itself where it is installed, else built the same way from jinja2."""
import datetime
import json

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = datetime.datetime(2024, 7, 26, 12, 34, 56)


def _environment():
    try:
        from transformers.utils import chat_template_utils as u
        compile_ = getattr(u._compile_jinja_template, "__wrapped__", u._compile_jinja_template)
        return compile_("").environment
    except ImportError:
        pass

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}

        def parse(self, parser):
            line = next(parser.stream).lineno
            body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
            call = self.call_method("_render")
            return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

        def _render(self, caller):
            return caller()

    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                          sort_keys=sort_keys)

    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    return env


ENV = _environment()
ENV.globals["strftime_now"] = lambda format: NOW.strftime(format)


def render(template, variables):
    """The text, or None where Python raises."""
    try:
        out = ENV.from_string(template).render(**json.loads(json.dumps(variables)))
        out.encode("utf-8")
        return out
    except (Exception, RecursionError):
        return None
