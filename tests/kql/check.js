// Parses and type-checks KQL with Microsoft's own language service.
// Usage: node check.js FOLDER_WITH_NODE_MODULES < {"name": "query", ...}
// Prints {"name": {"diagnostics": ["..."], "columns": {"column": "type", ...}}, ...}
const path = require("path");
const service = path.join(process.argv[2], "node_modules/@kusto/language-service-next");
require(path.join(service, "bridge.min.js"));
require(path.join(service, "Kusto.Language.Bridge.min.js"));

const { GlobalState, KustoCode, Symbols } = Kusto.Language;
const table = (name, columns) => new Symbols.TableSymbol.$ctor7(name, columns, null);
// the columns of Application Insights that the queries use, and those of the table about the workspace itself
const tables = [
  table("traces", "(timestamp: datetime, message: string, severityLevel: int, customDimensions: dynamic)"),
  table("_LogOperation", "(TimeGenerated: datetime, Category: string, Operation: string, Level: string, Detail: string)"),
];
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1("log", tables, false));
const list = (values) => Array.from({ length: values.Count }, (_, index) => values.getItem(index));

const answers = {};
for (const [name, query] of Object.entries(JSON.parse(require("fs").readFileSync(0, "utf8")))) {
  const code = KustoCode.ParseAndAnalyze(query, globals);
  const columns = code.ResultType && code.ResultType.Columns ? list(code.ResultType.Columns) : [];
  answers[name] = {
    diagnostics: list(code.GetDiagnostics()).map((found) => `${query.substr(found.Start, found.Length)}: ${found.Message}`),
    columns: Object.fromEntries(columns.map((column) => [column.Name, column.Type.Name])),
  };
}
console.log(JSON.stringify(answers));
