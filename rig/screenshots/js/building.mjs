// Building a page: the packages lie in a folder that rig/screenshots/install.py fills, not beside this file.
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const MODULES = process.env.AIAGENTCHAT_NODE_MODULES;
export const HERE = dirname(fileURLToPath(import.meta.url));
export const require = createRequire(join(MODULES, "none.js"));

const AS_FILES = [".png", ".gif", ".jpg", ".woff2", ".woff", ".ttf", ".wasm", ".ogg", ".mp3"];

const OF_NODE = /^(fs|path|crypto|zlib|http|https|url|os|assert|worker_threads|child_process)$/;

/** In the place of a module that a browser has not, and that is never used there: an empty one. */
export function nothing({ path }) {
    return { path, namespace: "nothing" };
}

const withoutNode = {
    name: "a browser is not node",
    setup(build) {
        build.onResolve({ filter: OF_NODE }, nothing);
        build.onLoad({ filter: /.*/, namespace: "nothing" }, () => ({ contents: "module.exports = {}" }));
    },
};

/** Bundle `entry`, a file beside this one or an absolute path. */
export async function built(entry, { plugins = [], ...options }) {
    await require("esbuild").build({
        entryPoints: [resolve(HERE, entry)],
        bundle: true,
        nodePaths: [MODULES],
        logLevel: "error",
        define: { global: "window", "process.env.NODE_ENV": '"production"' },
        loader: {
            ...Object.fromEntries(AS_FILES.map((kind) => [kind, "file"])),
            ".md": "text",
            ".css": "empty",
            ".pcss": "empty",
        },
        alias: { stream: "stream-browserify" },
        plugins: [...plugins, withoutNode],
        ...options,
    });
}
