// Hydrogen, a small client that knows no edits, as a folder of static files: `node hydrogen.mjs FOLDER`.
import { copyFileSync, cpSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

import { HERE, MODULES, built } from "./building.mjs";

const out = resolve(process.argv[2]);
const SDK = join(MODULES, "hydrogen-view-sdk");
const OLM = join(MODULES, "@matrix-org/olm");

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
await built("hydrogen.js", { outdir: out, format: "esm" });
cpSync(join(SDK, "asset-build/assets"), join(out, "assets"), { recursive: true });
for (const file of ["olm.js", "olm.wasm", "olm_legacy.js"]) copyFileSync(join(OLM, file), join(out, file));
copyFileSync(join(HERE, "hydrogen.html"), join(out, "index.html"));
