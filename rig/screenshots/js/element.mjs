// Element's user interface as a folder of static files: `node element.mjs FOLDER`, with AIAGENTCHAT_NODE_MODULES in its
// environment.
//
// matrix-react-sdk is all of Element Web but the application around it, and expects to be built by that one's webpack.
// Here esbuild does it: the plugin below says what webpack's settings would say.
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { MODULES, built, nothing, require } from "./building.mjs";

const out = resolve(process.argv[2]);
const SDK = join(MODULES, "matrix-react-sdk");
const TOKENS = join(MODULES, "@vector-im/compound-design-tokens/assets/web/css");
const ICONS = "@vector-im/compound-design-tokens/icons";
const LIB = "matrix-react-sdk/lib";
const WORKERS = ["indexeddb", "blurhash", "playback"];

rmSync(out, { recursive: true, force: true });
words();
await scripts();
await styles();
pictures();
copyFileSync(join(dirname(fileURLToPath(import.meta.url)), "element.html"), join(out, "index.html"));

/** The English texts, and the list of languages that the SDK imports from the application around it. */
function words() {
    mkdirSync(join(out, "i18n"), { recursive: true });
    copyFileSync(join(SDK, "src/i18n/strings/en_EN.json"), join(out, "i18n/en_EN.json"));
    writeFileSync(join(out, "i18n/languages.json"), JSON.stringify({ en: "en_EN.json" }));
}

async function scripts() {
    const common = { plugins: [plugin()] };
    await built("element.jsx", { outdir: out, splitting: true, format: "esm", ...common });
    for (const worker of WORKERS) {
        await built(join(SDK, `lib/workers/${worker}.worker.js`), {
            outfile: join(out, `${worker}.worker.js`),
            format: "iife",
            ...common,
            define: { global: "self", "process.env.NODE_ENV": '"production"' },
        });
    }
}

async function styles() {
    const source = join(SDK, "res/themes/light/css/light.pcss");
    const plugins = [
        require("postcss-import")({ resolve: style }),
        ...["postcss-mixins", "postcss-simple-vars", "postcss-nested", "postcss-easings", "postcss-hexrgba"].map(
            (name) => (require(name).default ?? require(name))(),
        ),
    ];
    const postcss = require("postcss");
    const made = await postcss(plugins).process(readFileSync(source, "utf8"), {
        from: source,
        parser: require("postcss-scss"),
    });
    writeFileSync(join(out, "light.css"), made.css.replaceAll("$(res)", "res"));
    copyFileSync(join(MODULES, "@vector-im/compound-web/dist/style.css"), join(out, "compound-web.css"));
    for (const file of readdirSync(TOKENS)) copyFileSync(join(TOKENS, file), join(out, file));
}

/** The styles name them by paths that lead to the root of the page, or into a package. */
function pictures() {
    for (const folder of ["img", "fonts"]) cpSync(join(SDK, "res", folder), join(out, folder), { recursive: true });
    cpSync(join(MODULES, ICONS), join(out, ICONS), { recursive: true });
    copyFileSync(join(MODULES, "opus-recorder/dist/decoderWorker.min.wasm"), join(out, "decoderWorker.min.wasm"));
}

/** Where an @import of a style leads: beside the file, or into a package (with or without webpack's ~). */
function style(name, from) {
    const plain = name.replace(/^~/, "");
    const beside = resolve(from, plain);
    return plain.startsWith(".") || existsSync(beside) ? beside : join(MODULES, plain);
}

function plugin() {
    return {
        name: "what webpack would do",
        setup(build) {
            build.onResolve({ filter: /^\$webapp\// }, ({ path }) => ({ path: join(out, path.slice(8)) }));
            build.onResolve({ filter: /^!!raw-loader!/ }, nothing);
            // What was compiled into lib still imports some of its neighbours from src, or as TypeScript.
            build.onResolve({ filter: /\/src\// }, (asked) =>
                compiled(asked, resolve(asked.resolveDir, asked.path).replace("/matrix-react-sdk/src/", `/${LIB}/`)),
            );
            build.onResolve({ filter: /^\.\.?\/.*\.tsx?$/ }, (asked) =>
                compiled(asked, resolve(asked.resolveDir, asked.path.replace(/\.tsx?$/, ""))),
            );
            build.onLoad({ filter: /matrix-react-sdk\/lib\/(audio|workers)\/.*Factory\.js$/ }, workerBeside);
            build.onLoad({ filter: /\.svg$/ }, icon);
        },
    };
}

function compiled({ importer }, path) {
    const file = `${path}.js`;
    return importer.includes(LIB) && existsSync(file) ? { path: file } : undefined;
}

function workerBeside({ path }) {
    const contents = readFileSync(path, "utf8")
        .replaceAll("import.meta.url", "document.baseURI")
        .replaceAll(".worker.ts", ".worker.js")
        .replace(/\.\/(?:\.\.\/)*(?:[\w-]+\/)*([\w-]+\.worker)/g, "./$1");
    return { contents, loader: "js" };
}

/** An icon is a component that draws it in the colour of the text around it; as a default, its address. */
function icon({ path }) {
    const name = basename(path);
    mkdirSync(join(out, "img"), { recursive: true });
    copyFileSync(path, join(out, "img", name));
    const [, attributes, drawn] = /<svg([^>]*)>(.*)<\/svg>/s.exec(readFileSync(path, "utf8")) ?? ["", "", ""];
    const given = Object.fromEntries(
        [...attributes.matchAll(/(viewBox|width|height|fill)="([^"]*)"/g)].map(([, key, value]) => [key, value]),
    );
    const shown = JSON.stringify({ ...given, dangerouslySetInnerHTML: { __html: drawn } });
    const contents = `
        import React from "react";
        export default ${JSON.stringify(`img/${name}`)};
        export const Icon = (props) => React.createElement("svg", { ...${shown}, ...props });
    `;
    return { contents, loader: "js", resolveDir: MODULES };
}
