// Reads a JSON list of LogQL queries, writes a list: for each the places (characters) where it is none.
// The grammar is loaded from the folder of packages that the first argument names.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { parser } = createRequire(process.argv[2] + "/")("@grafana/lezer-logql");
const wrong = JSON.parse(readFileSync(0, "utf8")).map((query) => {
  const places = [];
  parser.parse(query).iterate({ enter: (node) => { if (node.type.isError) places.push(node.from); } });
  return places;
});
process.stdout.write(JSON.stringify(wrong));
