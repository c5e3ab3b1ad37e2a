"""How the page looks: by day, by night, narrow, and on paper."""

STYLE = """
:root{color-scheme:light dark;--ground:#f5f6f8;--card:#fff;--ink:#1b2230;--soft:#566074;--line:#e0e4ea;
--train:#3454d1;--validation:#0f9488;--held:#d9822b;--whole:#6d5bd0;--other:#8b94a7;--gone:#c93a52;--middle:#3454d11a;
--good:#0f7a4f;--shadow:0 1px 2px #1b223014,0 4px 16px #1b22300a}
@media (prefers-color-scheme:dark){:root{--ground:#0e121a;--card:#171d28;--ink:#e9edf5;--soft:#a2adc0;--line:#2b3444;
--train:#7f9bff;--validation:#3ccbbb;--held:#f2ab55;--whole:#a99bff;--other:#7d889c;--gone:#ff7f92;--middle:#7f9bff26;
--good:#58d69b;--shadow:none}}
*{box-sizing:border-box}
html{scroll-behavior:smooth;scroll-padding-top:4rem}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"Noto Sans","Noto Sans KR","Noto Sans CJK KR","Apple SD Gothic Neo","Malgun Gothic",sans-serif;
font-variant-numeric:tabular-nums}
main,header>div,nav>div,footer{max-width:1120px;margin:0 auto;padding:0 24px}
header{background:var(--card);border-bottom:1px solid var(--line)}
header>div{display:flex;gap:32px;align-items:center;justify-content:space-between;padding-top:32px;padding-bottom:28px}
header svg{flex:0 0 132px;width:132px}
h1{font-size:28px;line-height:1.2;letter-spacing:-.01em;margin:0 0 6px;overflow-wrap:anywhere;
display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:3;overflow:hidden}
h2{font-size:20px;letter-spacing:-.005em;margin:44px 0 4px}
h3{font-size:15px;margin:0}
p{margin:4px 0}
.lead,.note{color:var(--soft)}
.lead{margin-bottom:14px;max-width:100ch}
.note{font-size:13px}
.facts{display:flex;flex-wrap:wrap;gap:4px 20px;color:var(--soft);font-size:14px;margin:0 0 12px;overflow-wrap:anywhere}
.facts b{color:var(--ink);font-weight:600}
.verdict{display:inline-block;padding:3px 12px;border-radius:99px;font-weight:600;font-size:13px;
border:1.5px solid currentColor}
.accepted{color:var(--good)}
.rejected{color:var(--gone)}
.because{margin:10px 0 0;padding-left:20px;color:var(--gone)}
nav{position:sticky;top:0;z-index:1;background:var(--card);border-bottom:1px solid var(--line)}
nav>div{display:flex;gap:4px 20px;overflow-x:auto;padding-top:9px;padding-bottom:9px}
nav a{color:var(--soft);text-decoration:none;font-size:14px;white-space:nowrap}
nav a:hover,nav a:focus-visible{color:var(--train);text-decoration:underline}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:14px;margin:24px 0 0}
.tile,.card{background:var(--card);border:1px solid var(--line);border-radius:10px;box-shadow:var(--shadow)}
.tile{padding:14px 18px}
.tile span{display:block;color:var(--soft);font-size:13px}
.tile b{display:block;font-size:26px;line-height:1.25;font-weight:650;letter-spacing:-.01em}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:14px;align-items:start}
.cards.two{display:block;columns:2 440px;column-gap:14px}
.cards.two>.card{break-inside:avoid;margin-bottom:14px}
.cards+.card{margin-top:14px}
.card{margin:0;padding:16px 18px 12px;min-width:0}
figcaption{margin-bottom:10px}
svg{display:block;width:100%;height:auto;overflow:visible}
svg text{fill:var(--ink);font-size:12.5px}
svg .axis{fill:var(--soft);font-size:11px}
svg .value{font-size:12px;fill:var(--soft)}
svg .rule{stroke:var(--line);stroke-width:1}
svg .median{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:4 3}
svg .middle{fill:var(--middle)}
.bar,.train{fill:var(--train);background:var(--train)}
.validation{fill:var(--validation);background:var(--validation)}
.held_out{fill:var(--held);background:var(--held)}
.whole{fill:var(--whole);background:var(--whole)}
.other{fill:var(--other);background:var(--other)}
.gone{fill:var(--gone);background:var(--gone)}
svg .flow{fill:var(--middle)}
svg .ring,svg .ring-rest{fill:none;stroke-width:15;stroke:var(--train)}
svg .ring-rest{stroke:var(--line)}
svg .ring-value{font-size:21px;font-weight:650}
svg .check{font-weight:600;font-size:14px}
svg .why{fill:var(--soft);font-size:12.5px}
svg .lost{fill:var(--gone);font-weight:600;font-size:13px}
svg .left{font-size:14px;font-weight:600}
.legend{display:flex;flex-wrap:wrap;gap:6px 22px;margin:12px 0 4px;padding:0;list-style:none;font-size:14px}
.legend i{display:inline-block;width:12px;height:12px;border-radius:3px;margin-right:7px;vertical-align:-1px}
.legend span{color:var(--soft)}
details{margin-top:8px;border-top:1px solid var(--line);padding-top:6px}
summary{cursor:pointer;color:var(--soft);font-size:13px}
.scroll{overflow-x:auto;max-height:420px;overflow-y:auto}
table{border-collapse:collapse;width:100%;font-size:13.5px;margin:6px 0}
th{position:sticky;top:0;background:var(--card);text-align:left;color:var(--soft);font-weight:600}
th,td{padding:5px 10px 5px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
td:first-child,th:first-child{min-width:90px}
th.figure,td.figure{text-align:right;white-space:nowrap}
dl{display:grid;grid-template-columns:minmax(150px,auto) 1fr;gap:6px 20px;margin:0;font-size:14px}
dt{color:var(--soft)}
dd{margin:0;overflow-wrap:anywhere}
dd small{color:var(--soft);display:block}
.nothing{color:var(--soft);padding:14px 18px}
footer{color:var(--soft);font-size:13px;padding-top:36px;padding-bottom:48px}
:focus-visible{outline:2px solid var(--train);outline-offset:2px}
@media (max-width:640px){header svg{display:none}main,header>div,nav>div,footer{padding-left:14px;padding-right:14px}
.wide-chart{overflow-x:auto}.wide-chart svg{min-width:760px}dl{grid-template-columns:1fr}dd{margin-bottom:6px}}
@media print{:root{--ground:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--train:#3454d1;--validation:#0f9488;
--held:#d9822b;--whole:#6d5bd0;--other:#8b94a7;--gone:#c93a52;--middle:#3454d11a;--good:#0f7a4f;--shadow:none}
nav,summary,details:not([open]){display:none}body{font-size:11pt;print-color-adjust:exact;
-webkit-print-color-adjust:exact}.card,.tile,tr{break-inside:avoid}h2{break-after:avoid}
.scroll{max-height:none;overflow:visible}.cards.two{columns:2 240px}}
"""
