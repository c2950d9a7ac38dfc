"""Answers that mean harm: made by rule, each with a name and the reference it is graded against.

What they are after: time (towers, factorials, nesting, backtracking), memory (long digits, matrices, sets), the
interpreter (text run as code by whatever reads it), and a free point (digits of other scripts, closeness, look-alikes).
Code that would run makes a canary file; `code` takes its path.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Hostile:
    """One answer.

    Attributes:
        name: Unique.
        reference: What it is graded against.
        answer: The text.
        equal: What the verdict may be; None where both are right (the two are equal, and too long to be looked at).
    """

    name: str
    reference: str
    answer: str
    equal: bool | None = False


def hostile_answers(canary: str) -> list[Hostile]:
    """All of them, in a fixed order.

    Args:
        canary: The path of the file that code would make.
    """
    kinds = {
        "towers": towers(),
        "factorials": factorials(),
        "digits": digits(),
        "nesting": nesting(),
        "brackets": brackets(),
        "code": code(canary),
        "scripts": scripts(),
        "characters": characters(),
        "operators": operators(),
        "collections": collections(),
        "undefined": undefined(),
        "marks": marks(),
        "backtracking": backtracking(),
        "closeness": closeness(),
        "malformed": malformed(),
    }
    return [
        Hostile(f"{kind}-{index:02}-{one.name}", one.reference, one.answer, one.equal)
        for kind, found in kinds.items()
        for index, one in enumerate(found)
    ]


def towers() -> Iterator[Hostile]:
    yield Hostile("nines", "5", "9^{9^{9^{9}}}")
    yield Hostile("nines-unbraced", "5", "9^9^9^9")
    yield Hostile("python", "5", "9**9**9**9")
    yield Hostile("tens", "10^{10}", "10^{10^{10}}")
    yield Hostile("of-the-reference", "2^{2^{2^{2^{2}}}}", "2^{2^{2^{2^{3}}}}")
    yield Hostile("depth-2000", "16", "2^{" * 2_000 + "2" + "}" * 2_000)
    yield Hostile("depth-2000-unbraced", "16", "2" + "^2" * 2_000)
    yield Hostile("of-a-variable", "x^{2}", "x^{x^{x^{x^{x^{x}}}}}")
    yield Hostile("of-fractions", "1", r"\left(\frac{1}{2}\right)^{\left(\frac{1}{2}\right)^{-10^{9}}}")
    yield Hostile("negative", "0", "2^{-10^{9}}")
    yield Hostile("negative-fraction", r"\frac{1}{2}", r"\left(\frac{1}{3}\right)^{10^{9}}")
    yield Hostile("many-digits", "7", "7^{123456789}")
    yield Hostile("last-digits", "7^{123456789}", "7^{123456788}")
    yield Hostile("decimal-exponent", "2", "2^{1000000000.5}")
    yield Hostile("polynomial", "x+1", "(x+y+z+w)^{1000}")
    yield Hostile("polynomial-product", "x+1", "(x+1)^{500}(x-1)^{500}(x+2)^{500}(y+z)^{500}")
    yield Hostile("polynomial-twice", "(x+y+z)^{200}", "(x+y+z+1)^{200}")
    yield Hostile("mod", "5", r"7^{7^{7^{7}}} \bmod 10^{9}")
    yield Hostile("mod-nest", "5", r"\left(" * 200 + "3" + r" \bmod 2\right)" * 200)
    yield Hostile("root-of-a-tower", "3", r"\sqrt{9^{9^{9}}}")
    yield Hostile("log-of-a-tower", "3", r"\log{(9^{9^{9^{9}}})}")
    yield Hostile("sine-of-a-tower", "0", r"\sin(10^{10^{10}})")
    yield Hostile("complex", "-1", "(1+2i)^{10^{8}}")
    yield Hostile("fraction-of-towers", "1", r"\frac{9^{9^{9}}}{9^{9^{8}}}")
    yield Hostile("scientific", "1", r"1.5 \times 10^{999999999}")
    yield Hostile("exponent", "9", "1e999999999")
    yield Hostile("exponent-negative", "0", "1e-999999999")
    yield Hostile("exponent-long", "9", "9e" + "9" * 5_000)


def factorials() -> Iterator[Hostile]:
    yield Hostile("big", "5", "9999999!")
    yield Hostile("huge", "5", "99999999999!")
    yield Hostile("nested", "6", "(((9!)!)!)!")
    yield Hostile("unbracketed", "6", "3!!!!!!!!")
    yield Hostile("double", "15", "99999999!!")
    yield Hostile("many", "120", "5" + "!" * 50_000)
    yield Hostile("ratio", "9999999", r"\frac{9999999!}{9999998!}", None)
    yield Hostile("of-the-reference", "100000!", "99999!")
    yield Hostile("word", "5", r"\operatorname{factorial}(99999999)")
    yield Hostile("function", "5", "factorial(99999999)")
    yield Hostile("binomial", "2", r"\binom{99999999}{49999999}")
    yield Hostile("binomial-of-the-reference", r"\binom{10}{5}", r"\binom{10^{9}}{5\cdot10^{8}}")
    yield Hostile("binomial-nested", "2", r"\binom{\binom{100}{50}}{\binom{90}{45}}")
    yield Hostile("choose", "2", r"99999999 \choose 49999999")
    yield Hostile("binomial-depth", "2", r"\binom{" * 100 + "9" + "}{2}" * 100)
    yield Hostile("gamma", "5", r"\Gamma(99999999)")
    yield Hostile("zeta", "5", r"\zeta(10^{99})")
    yield Hostile("sub", "5", "!99999999")


def digits() -> Iterator[Hostile]:
    yield Hostile("5000", "5", "7" * 5_000)
    yield Hostile("5000-last", "7" * 5_000, "7" * 4_999 + "8")
    yield Hostile("million", "5", "7" * 1_000_000)
    yield Hostile("million-last", "7" * 1_000_000, "7" * 999_999 + "8")
    yield Hostile("decimals-100000", "0.5", "0.5" + "0" * 100_000 + "1")
    yield Hostile("zeros-100000", "0.5", "0.5" + "0" * 100_000, None)
    yield Hostile("leading-zeros", "5", "0" * 100_000 + "5", None)
    yield Hostile("negative", "-5", "-" + "7" * 5_000)
    yield Hostile("commas", "5", "777," * 5_000 + "777")
    yield Hostile("only-commas", "5", "," * 100_000)
    yield Hostile("only-points", "5", "." * 100_000)
    yield Hostile("points", "5", "1.2." * 5_000)
    yield Hostile("ratio", "5", "7" * 5_000 + "/" + "3" * 5_000)
    yield Hostile("ratio-of-frac", "5", r"\frac{" + "7" * 5_000 + "}{" + "3" * 5_000 + "}")
    yield Hostile("product", "5", r"\cdot".join(["9" * 400] * 50))
    yield Hostile("product-of-many", "5", r" \times ".join(["99999999"] * 5_000))
    yield Hostile("sum", "5", "+".join(["1"] * 50_000))
    yield Hostile("mixed", "5", "1 " + "9" * 5_000 + "/" + "9" * 4_999 + "8")
    yield Hostile("power-of-long", "5", "(" + "9" * 300 + ")^{" + "9" * 300 + "}")
    yield Hostile("root-of-long", "5", r"\sqrt{" + "9" * 5_000 + "}")
    yield Hostile("prime-root", "5", r"\sqrt{" + "1" * 300 + "}")
    yield Hostile("base", "5", "1" * 5_000 + "_{2}")
    yield Hostile("repeating", "1", r"0.\overline{" + "9" * 5_000 + "}", None)
    yield Hostile("percent", "5", "7" * 5_000 + r"\%")


def nesting() -> Iterator[Hostile]:
    pieces = {
        "braces": ("{", "}"),
        "parentheses": ("(", ")"),
        "left-right": (r"\left(", r"\right)"),
        "sqrt": (r"\sqrt{", "}"),
        "frac": (r"\frac{1}{", "}"),
        "text": (r"\text{", "}"),
        "boxed": (r"\boxed{", "}"),
        "absolute": (r"\left|", r"\right|"),
    }
    for name, (opening, closing) in pieces.items():
        for depth in (10, 1_000, 50_000):
            yield Hostile(f"{name}-{depth}", "7", opening * depth + "5" + closing * depth)
    yield Hostile("sqrt-100-of-the-reference", r"\sqrt{2}", r"\sqrt{" * 100 + "2" + "}" * 100)
    yield Hostile("continued-fraction-2000", r"\frac{1+\sqrt{5}}{2}", r"1+\cfrac{1}{" * 2_000 + "1" + "}" * 2_000)
    yield Hostile("continued-fraction-60", r"\frac{1+\sqrt{5}}{2}", r"1+\cfrac{1}{" * 60 + "1" + "}" * 60)
    yield Hostile("nested-radical", "2", r"\sqrt{2+" * 200 + "2" + "}" * 200)
    yield Hostile("nested-radical-12", "2", r"\sqrt{2+" * 12 + r"\sqrt{2}" + "}" * 12)
    yield Hostile("floors", "5", r"\lfloor " * 500 + "4.5" + r"\rfloor" * 500)
    yield Hostile("ceilings", "4", r"\lceil " * 500 + "4.5" + r"\rceil" * 500)
    yield Hostile("logs", "2", r"\log{" * 200 + "9" + "}" * 200)
    yield Hostile("sines", "0", r"\sin(" * 200 + "1" + ")" * 200)
    yield Hostile("minus-50000", "5", "-" * 50_001 + "5")
    yield Hostile("minus-spaced", "5", "- " * 5_001 + "5")
    yield Hostile("minus-bracketed", "5", "-(" * 1_001 + "5" + ")" * 1_001)
    yield Hostile("plus", "-5", "+" * 50_000 + "5")
    yield Hostile("plus-minus", "5", r"\pm" * 20 + "5")
    yield Hostile("primes", "x", "f" + "'" * 10_000 + "(x)")
    yield Hostile("subscripts", "x_1", "x_{" * 500 + "1" + "}" * 500)


def brackets() -> Iterator[Hostile]:
    length = 100_000
    for name, opening, closing in (
        ("round", "(", ")"),
        ("square", "[", "]"),
        ("curly", "{", "}"),
        ("escaped", r"\{", r"\}"),
        ("angle", "<", ">"),
    ):
        yield Hostile(f"{name}-open", "5", opening * (length // len(opening)))
        yield Hostile(f"{name}-closed", "5", closing * (length // len(closing)))
        yield Hostile(f"{name}-balanced", "5", opening * (length // 4) + "5" + closing * (length // 4), None)
    yield Hostile("pairs", "5", "()" * (length // 2))
    yield Hostile("mixed", "5", "([{" * (length // 6) + "5" + ")]}" * (length // 6))
    yield Hostile("reversed", "5", ")(" * (length // 2))
    yield Hostile("bars", "5", "|" * length)
    yield Hostile("dollars", "5", "$" * length)
    yield Hostile("backslashes", "5", "\\" * length)
    yield Hostile("carets", "5", "^" * length)
    yield Hostile("unclosed-frac", "5", r"\frac{" * (length // 6))
    yield Hostile("unclosed-left", "5", r"\left(" * (length // 6))
    yield Hostile("bare-frac", "5", r"\frac" * (length // 5))


def code(canary: str) -> Iterator[Hostile]:
    touch = f"touch {canary}"
    yield Hostile("python-import", "5", f"__import__('os').system('{touch}')")
    yield Hostile("python-double-quotes", "5", f'__import__("os").system("{touch}")')
    yield Hostile("python-dollars", "5", f"$__import__('os').system('{touch}')$")
    yield Hostile("python-boxed", "5", rf"\boxed{{__import__('os').system('{touch}')}}")
    yield Hostile("python-text", "5", rf"\text{{__import__('os').system('{touch}')}}")
    yield Hostile("python-operatorname", "5", rf"\operatorname{{__import__('os').system}}('{touch}')")
    yield Hostile("python-eval", "5", f"eval(\"__import__('os').system('{touch}')\")")
    yield Hostile("python-exec", "5", f"exec(\"import os; os.system('{touch}')\")")
    yield Hostile("python-open", "5", f"open('{canary}','w').write('x')")
    yield Hostile("python-tuple", "(1,2)", f"(1, open('{canary}','w').write('2'))")
    yield Hostile("python-lambda", "5", f"(lambda: open('{canary}','w'))()")
    yield Hostile("python-comprehension", "5", f"[open('{canary}','w') for _ in (1,)]")
    yield Hostile("python-subclasses", "5", "().__class__.__bases__[0].__subclasses__()")
    yield Hostile("python-builtins", "5", f"__builtins__['open']('{canary}','w')")
    yield Hostile("python-f-string", "5", f"f\"{{open('{canary}','w')}}\"")
    yield Hostile("python-walrus", "5", f"(x:=open('{canary}','w'))")
    yield Hostile("python-exit", "5", "exit()")
    yield Hostile("python-raise", "5", "5 if 1 else quit()")
    yield Hostile("python-five", "5", f"5+0*open('{canary}','w').write('')")
    yield Hostile("sympy-sympify", "5", f"sympify(\"open('{canary}','w')\")")
    yield Hostile("sympy-lambdify", "5", f"lambdify(x, \"open('{canary}','w')\")(1)")
    yield Hostile("sympy-parse-expr", "5", f"parse_expr(\"open('{canary}','w')\")")
    yield Hostile("sympy-symbol", "x", f"Symbol('x').func(open('{canary}','w').name)")
    yield Hostile("sympy-preview", "5", f"preview(x, output='png', viewer='file', filename='{canary}')")
    yield Hostile("sympy-subscript", "x_1", f"x_{{open('{canary}','w')}}")
    yield Hostile("equation", "x=5", f"x=open('{canary}','w')")
    yield Hostile("latex-write18", "5", rf"\immediate\write18{{{touch}}}5")
    yield Hostile("latex-input", "5", r"\input{/etc/passwd}")
    yield Hostile("latex-include", "5", r"\include{/etc/passwd}")
    yield Hostile("latex-openout", "5", rf"\newwrite\f\openout\f={canary}\write\f{{5}}\closeout\f")
    yield Hostile("latex-catcode", "5", r"\catcode`\_=13 \def_{5}_")
    yield Hostile("latex-csname", "5", r"\csname loop\endcsname 5")
    yield Hostile("latex-def", "5", r"\def\x{\x\x}\x")
    yield Hostile("latex-lua", "5", rf"\directlua{{os.execute('{touch}')}}")
    yield Hostile("latex-href", "5", rf"\href{{file://{canary}}}{{5}}")
    yield Hostile("shell", "5", f"$({touch})")
    yield Hostile("shell-backticks", "5", f"`{touch}`")
    yield Hostile("shell-chain", "5", f"5; {touch}")
    yield Hostile("shell-chain-and", "5", f"5 && {touch}")
    yield Hostile("shell-pipe", "5", f"5 | tee {canary}")
    yield Hostile("shell-redirect", "5", f"5 > {canary}")
    yield Hostile("javascript", "5", f"require('child_process').execSync('{touch}')")
    yield Hostile("javascript-tag", "5", "<script>alert(5)</script>")
    yield Hostile("sql", "5", "5'; DROP TABLE answers; --")
    yield Hostile("sql-copy", "5", f"5'); COPY (SELECT 5) TO '{canary}'; --")
    yield Hostile("jinja", "5", f"{{{{ cycler.__init__.__globals__.os.system('{touch}') }}}}")
    yield Hostile("jinja-sum", "49", "{{7*7}}", None)
    yield Hostile("format-string", "5", "{0.__class__.__init__.__globals__}")
    yield Hostile("percent-format", "5", "%n%n%n%s%s%s%x")
    yield Hostile("percent-width", "5", "%999999999d")
    yield Hostile("yaml", "5", f"!!python/object/apply:os.system ['{touch}']")
    yield Hostile("pickle", "5", f"cos\nsystem\n(S'{touch}'\ntR.")
    yield Hostile("log4j", "5", "${jndi:ldap://127.0.0.1/a}")
    yield Hostile("xml", "5", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>')
    yield Hostile("mathematica", "5", f'Run["{touch}"]')
    yield Hostile("ruby", "5", f'#{{system("{touch}")}}')
    yield Hostile("perl", "5", f"@{{[system('{touch}')]}}")
    yield Hostile("relative-file", "5", "open('stepward-canary','w').write('x')")
    yield Hostile("json-line", "5", '5"]\n["5",true,"exact"]\n')


def scripts() -> Iterator[Hostile]:
    for name, five in (
        ("arabic-indic", "\u0665"),
        ("persian", "\u06f5"),
        ("devanagari", "\u096b"),
        ("bengali", "\u09eb"),
        ("thai", "\u0e55"),
        ("tibetan", "\u0f25"),
        ("khmer", "\u17e5"),
        ("nko", "\u07c5"),
        ("mathematical-bold", "\U0001d7d3"),
        ("mathematical-double", "\U0001d7dd"),
        ("fullwidth", "\uff15"),
        ("superscript", "\u2075"),
        ("subscript", "\u2085"),
        ("circled", "\u2464"),
        ("parenthesised", "\u2478"),
        ("full-stop", "\u248c"),
        ("keycap", "5\ufe0f\u20e3"),
        ("roman", "\u2164"),
        ("han", "\u4e94"),
        ("han-financial", "\u4f0d"),
    ):
        yield Hostile(name, "5", five)
    yield Hostile("vulgar-half", "0.25", "\u00bd")
    yield Hostile("vulgar-mixed", "5", "4\u00bd")
    yield Hostile("mixed-scripts", "55", "5\u0665")
    yield Hostile("squared", "52", "5\u00b2")
    yield Hostile("arabic-decimal", "5.5", "\u0665\u066b\u0665")


def characters() -> Iterator[Hostile]:
    yield Hostile("bidirectional-override", "12", "\u202e12")
    yield Hostile("bidirectional-reversed", "21", "\u202e12\u202c")
    yield Hostile("bidirectional-isolates", "12", "\u206612\u2069" * 20_000)
    yield Hostile("zero-width-joiner", "12", "1\u200d3")
    yield Hostile("zero-width-many", "5", "\u200b" * 100_000)
    yield Hostile("soft-hyphen", "12", "1\u00ad3")
    yield Hostile("homoglyph-x", "x+1", "\u0445+1")
    yield Hostile("homoglyph-word", "odd", "\u043edd")
    yield Hostile("homoglyph-l", "1", "l")
    yield Hostile("homoglyph-o", "0", "O")
    yield Hostile("nul", "5", "5\x006")
    yield Hostile("nul-many", "5", "\0" * 100_000)
    yield Hostile("lone-surrogate", "5", "5\ud800")
    yield Hostile("surrogate-many", "x", "\udfff" * 50_000)
    yield Hostile("surrogate-in-algebra", "x+1", "1+x+\ud800")
    yield Hostile("combining-marks", "5", "5" + "\u0301\u0323" * 50_000)
    yield Hostile("combining-strike", "55", "5\u03365\u0336")
    yield Hostile("control", "5", "\x1b[2J\x07\x08" * 1_000)
    yield Hostile("spaces", "5", "5" + " " * 100_000 + "6")
    yield Hostile("newlines", "5", "5" + "\n" * 100_000 + "6")
    yield Hostile("emoji", "5", "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 10_000)
    yield Hostile("private-use", "5", "\ue000\uf8ff\U0010ffff")
    yield Hostile("replacement", "5", "\ufffd5")
    yield Hostile("casefold-grows", "5", "\u0390" * 50_000)
    yield Hostile("en-quads", "5", "\u2000\u2001\u3000" * 30_000)


def operators() -> Iterator[Hostile]:
    yield Hostile("sum", "5", r"\sum_{i=1}^{10^{99}} i")
    yield Hostile("sum-of-powers", "5", r"\sum_{i=1}^{1000000} i^{i}")
    yield Hostile("sum-of-the-reference", r"\sum_{i=1}^{10} i", r"\sum_{i=1}^{10^{9}} i^{i}")
    yield Hostile("sums-nested", "5", r"\sum_{i=1}^{999}" * 20 + " i")
    yield Hostile("product", "5", r"\prod_{i=1}^{10^{9}} i")
    yield Hostile("product-of-products", "5", r"\prod_{i=1}^{99}\prod_{j=1}^{99}\prod_{k=1}^{99} (i+j+k)")
    yield Hostile("integral", "5", r"\int_{0}^{\infty} e^{-x^{2}} \sin(x^{x}) \, dx")
    yield Hostile("integrals-nested", "5", r"\int" * 50 + " x dx")
    yield Hostile("integral-hard", "5", r"\int \frac{x^{9}+1}{x^{99}+x+1} \, dx")
    yield Hostile("limit", "5", r"\lim_{x \to \infty} \frac{x!}{x^{x}}")
    yield Hostile(
        "limit-hard", "5", r"\lim_{x\to 0} \frac{\sin(\tan x)-\tan(\sin x)}{\arcsin(\arctan x)-\arctan(\arcsin x)}"
    )
    yield Hostile("derivative", "5", r"\frac{d^{999}}{dx^{999}} x^{999} \sin(x) e^{x}")
    yield Hostile("high-root", "1", r"\sqrt[999999]{2}")
    yield Hostile("high-root-tower", "1", r"\sqrt[9^{9^{9}}]{2}")
    yield Hostile("root-sum", "10", "+".join(rf"\sqrt{{{prime}}}" for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29)))
    yield Hostile("root-fraction", r"\sqrt{2}", r"\frac{1}{\sqrt{2}+\sqrt{3}+\sqrt{5}+\sqrt{7}+\sqrt{11}+\sqrt{13}}")
    yield Hostile("cubic-roots", "1", r"\sqrt[3]{2+\sqrt{5}}+\sqrt[3]{2-\sqrt{5}}+\sqrt[7]{29}")
    yield Hostile("trigonometric", "1", "".join(rf"\sin({n}x)\cos({n}y)" for n in range(1, 60)))
    yield Hostile("trigonometric-power", "1", r"(\sin x + \cos x)^{300}")
    yield Hostile("rational-function", "x", r"\frac{x^{500}-1}{x-1}+\frac{y^{500}-1}{y-1}")
    yield Hostile("equation-degree-30", "x=1", "x^{30}+x^{29}+7x^{3}-x+11=0")
    yield Hostile("equations", "x=1", ",".join(f"x_{{{n}}}=x_{{{n + 1}}}^2+{n}" for n in range(1, 80)))
    yield Hostile("inequality-hard", "x>1", r"x^{17}-3x^{5}+\sin(x)>0")
    yield Hostile("inequality-chain", "1<x<2", "<".join("abcdefghijklmnopqrstuvwxyz" * 20))
    yield Hostile("absolute-chain", "5", "+".join(f"|x-{n}|" for n in range(500)))
    yield Hostile("gcd", "5", r"\gcd(10^{999}!, 9^{9^{9}})")
    yield Hostile("many-variables", "a", "(" + "+".join(f"x_{{{n}}}" for n in range(300)) + ")^{20}")


def collections() -> Iterator[Hostile]:
    row = "&".join(["1"] * 500)
    yield Hostile("matrix-500", "5", r"\begin{pmatrix}" + r"\\".join([row] * 500) + r"\end{pmatrix}")
    yield Hostile(
        "matrix-30-of-the-reference",
        r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
        r"\begin{pmatrix}" + r"\\".join(["&".join(["x+y"] * 30)] * 30) + r"\end{pmatrix}",
    )
    yield Hostile("matrix-power", "1", r"\begin{pmatrix}1&1\\1&0\end{pmatrix}^{10^{9}}")
    yield Hostile(
        "matrix-inverse", "1", r"\begin{pmatrix}" + r"\\".join(["&".join("abcdefgh")] * 8) + r"\end{pmatrix}^{-1}"
    )
    yield Hostile("matrix-unclosed", "5", r"\begin{pmatrix}" * 5_000)
    yield Hostile("environments", "5", r"\begin{" + "a" * 50_000 + "}")
    yield Hostile("set-100000", r"\{1,2\}", r"\{" + ",".join(map(str, range(100_000))) + r"\}")
    yield Hostile("set-of-sets", r"\{1,2\}", r"\{" * 300 + "1" + r"\}" * 300)
    yield Hostile("list-100000", "1,2,3", ",".join(["1"] * 100_000))
    yield Hostile("tuple-5000", "(1,2)", "(" + ",".join(f"x^{{{n}}}" for n in range(5_000)) + ")")
    yield Hostile("tuple-nested", "(1,2)", "(1," * 300 + "2" + ")" * 300)
    yield Hostile("union-1000", "(0,1)", r"\cup".join(f"({n},{n + 1})" for n in range(1_000)))
    yield Hostile("union-algebra", "(0,1)", r"\cup".join(rf"(\sqrt{{{n}}},\sqrt{{{n + 2}}}]" for n in range(60)))
    yield Hostile("set-product", r"\{1,2\}", r"\{1,2\}" + r"\times\{1,2\}" * 40)
    yield Hostile("power-set", r"\{1,2\}", r"2^{\{" + ",".join(map(str, range(60))) + r"\}}")
    yield Hostile("complements", r"\mathbb{R}", r"\mathbb{R}" + r"\setminus\{1\}" * 500)
    yield Hostile("interval-far", "(0,1)", "(0, 10^{10^{10}})")
    yield Hostile("list-of-plus-minus", "1,-1", ",".join([r"\pm 1"] * 30), None)
    yield Hostile("permutation", ",".join(str(n) for n in range(40)), ",".join(rf"\sqrt{{{n}}}" for n in range(40)))


def undefined() -> Iterator[Hostile]:
    for name, answer in (
        ("one-over-zero", "1/0"),
        ("zero-over-zero", "0/0"),
        ("frac-zero", r"\frac{5}{0}"),
        ("zero-to-zero", "0^{0}+0/0"),
        ("infinity-less-itself", r"\infty-\infty"),
        ("infinity-over-itself", r"\frac{\infty}{\infty}"),
        ("zero-times-infinity", r"0 \cdot \infty"),
        ("i-to-the-i", "i^i"),
        ("i-tower", "i^{i^{i^{i^{i}}}}"),
        ("log-zero", r"\log 0"),
        ("root-minus-one", r"\sqrt{-1}"),
        ("tan-pole", r"\tan\frac{\pi}{2}"),
        ("nan", "nan"),
        ("nan-upper", "NaN"),
        ("inf", "inf"),
        ("infinity", "Infinity"),
        ("none", "None"),
        ("null", "null"),
        ("true", "True"),
        ("undefined", "undefined"),
        ("zero-in-power", r"5^{\frac{1}{0}}"),
    ):
        yield Hostile(name, "5", answer)
    yield Hostile("zero-over-zero-again", "0", "0/0")
    yield Hostile("one-over-zero-twice", "1/0", "2/0")
    yield Hostile("infinity-plus-one", r"-\infty", r"\infty+1")


def marks() -> Iterator[Hostile]:
    yield Hostile("boxes-open", "5", r"\boxed{" * 10_000)
    yield Hostile("boxes-empty", "5", r"\boxed{}" * 10_000)
    yield Hostile("boxes-many", "10000", "".join(rf"\boxed{{{n}}}" for n in range(10_000)))
    yield Hostile("boxes-nested-halves", "5", r"\boxed{5\boxed{" * 5_000 + "6" + "}" * 5_000)
    yield Hostile("boxes-spaced", "5", r"\boxed " * 10_000)
    yield Hostile("boxes-escaped", "5", r"\boxed\{5\}" * 5_000)
    yield Hostile("answer-is", "5", "answer is" * 100_000)
    yield Hostile("answer-is-spaced", "5", "answer is " * 100_000)
    yield Hostile("answer-colon", "5", "Answer: " * 50_000)
    yield Hostile("hashes", "5", "#" * 200_000)
    yield Hostile("hashes-spaced", "5", "#### " * 40_000)
    yield Hostile("a-lines", "5", "\nA:" * 50_000)
    yield Hostile("stars", "5", "*" * 200_000)
    yield Hostile("final-answers", "5", "Final Answer: **" * 20_000)
    yield Hostile("delimiters", "5", "$ $" * 50_000)
    yield Hostile("display-delimiters", "5", r"\[" * 50_000)
    yield Hostile("therefore", "5", "Therefore, the final answer is: $\\boxed{" * 5_000)
    yield Hostile("choices", "A", "(A)(B)(C)" * 10_000)


def backtracking() -> Iterator[Hostile]:
    yield Hostile("nested-quantifier", "5", "a" * 50_000 + "!")
    yield Hostile("alternation", "5", "ab" * 50_000 + "c")
    yield Hostile("spaces-before-end", "5", " 5" + " \t" * 50_000 + "x")
    yield Hostile("digits-then-letter", "5", "1" * 50_000 + "x")
    yield Hostile("digit-groups", "5", "1,111" * 10_000 + "x")
    yield Hostile("decimal-groups", "5", "1.1.1." * 10_000 + "x")
    yield Hostile("quotes", "5", "\"'" * 50_000)
    yield Hostile("equals", "5", "=" * 100_000)
    yield Hostile("equals-chain", "5", "a=" * 5_000 + "6")
    yield Hostile("units", "5", "5 " + "m s " * 20_000, None)
    yield Hostile("unit-prefixes", "5", "5" + r"\text{ kilo" * 5_000, None)
    yield Hostile("sqrt-no-braces", "5", r"\sqrt " * 20_000 + "5")
    yield Hostile("frac-no-braces", "5", r"\frac1" * 20_000)
    yield Hostile("commas-and-spaces", "5", "1 , " * 25_000)
    yield Hostile("and", "5", "1 and " * 20_000 + "5")
    yield Hostile("percent", "5", "%" * 100_000)
    yield Hostile("degrees", "5", r"^\circ" * 20_000)
    yield Hostile("email", "5", "a@" * 50_000)


def closeness() -> Iterator[Hostile]:
    yield Hostile("tiny-powers", r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}")
    yield Hostile("tiny-decimal", "0", "1e-300")
    yield Hostile("tiny-difference", r"\sqrt{2}", "1.41421356237309504880168872420969807856967187537695", None)
    yield Hostile("pi", r"\pi", "3.14159265358979323846264338327950288419716939937510", None)
    yield Hostile("third", r"\frac{1}{3}", "0." + "3" * 60, None)
    yield Hostile("wrong-tail-root", r"\sqrt{2}", "1.41421356237309504880999999999999999999999999999999")
    yield Hostile("wrong-tail-pi", r"\pi", "3.14159265358979323999999999999999999999999999999999")
    yield Hostile("wrong-tail-third", r"\frac{1}{3}", "0." + "3" * 30 + "4" * 30)
    yield Hostile("wrong-tail-sum", r"\frac{1}{3}+\sqrt{2}", "1.74754689570642838213999999999999999999999")
    yield Hostile("near-integer", "262537412640768744", r"e^{\pi\sqrt{163}}")
    yield Hostile("near-integer-root", "1", r"\sqrt{1+10^{-60}}")
    yield Hostile("far-last-digit", "10^{40}", "10^{40}+1")
    yield Hostile("float-limit", "9007199254740993", "9007199254740992")
    yield Hostile("ellipsis", r"1,2,\ldots,10", r"1,2,\ldots,11")
    yield Hostile("ellipsis-plain", "1,2,...,10", "1,3,...,10")
    yield Hostile("ellipsis-set", r"\{1,2,\dots\}", r"\{2,4,\dots\}")
    yield Hostile("ellipsis-all", "1,2,3", r"\ldots")
    yield Hostile("ellipsis-cdots", r"1+2+\cdots+10", r"1+2+\cdots+11")
    yield Hostile("false-equation", "1", "1=2")
    yield Hostile("false-equation-right", "2", "1=2")
    yield Hostile("true-equation", "5", "1=1")
    yield Hostile("everything", "5", r"x \in \mathbb{R}")
    yield Hostile("all-numbers", "7", "1 or 2 or 3 or 4 or 5 or 6 or 7 or 8")
    yield Hostile("itself-and-another", "5", "5 or 6")
    yield Hostile("itself-negated", "5", "not 5")
    yield Hostile("reference-in-words", "5", "the reference")
    yield Hostile("any", "5", "any number")


def malformed() -> Iterator[Hostile]:
    for name, answer in (
        ("open-frac", r"\frac{1}{"),
        ("open-sqrt", r"\sqrt{"),
        ("left-alone", r"\left"),
        ("right-alone", r"\right)"),
        ("caret", "5^"),
        ("underscore", "5_"),
        ("operator-end", "5+"),
        ("operators", "+*/^_"),
        ("unknown-command", r"\stepward{5}"),
        ("percent-comment", "% 5"),
        ("ampersand", "5&5"),
        ("empty-frac", r"\frac{}{}"),
        ("empty-braces", "{}"),
        ("empty-box", r"\boxed{}"),
        ("empty-text", r"\text{}"),
        ("empty-dollars", "$$"),
        ("comma", ","),
        ("minus", "-"),
        ("equals", "="),
        ("question", "?"),
    ):
        yield Hostile(name, "5", answer)
    yield Hostile("backslash", "5", "5\\", None)
    yield Hostile("table", "5", r"\begin{tabular}{c}5\end{tabular}", None)
