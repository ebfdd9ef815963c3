// A browser behind two pipes, in the manner of rig/js/main.mjs. Each window is a person's device of its own, by name.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { chromium } = await import(
    new URL("playwright-core/index.mjs", pathToFileURL(`${process.env.AIAGENTCHAT_NODE_MODULES}/`))
);

const PATIENCE = 45_000; // milliseconds for anything that is waited for
const windows = new Map();
let browser = null;

const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const complain = (text) => process.stderr.write(`${text}\n`);

const DOES = {
    async start({ program, sandbox }) {
        // Clients look for a server's address in the internet; here everything is on this machine.
        const alone = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
        const args = [alone, "--font-render-hinting=none", ...(sandbox ? [] : ["--no-sandbox"])];
        browser = await chromium.launch({ executablePath: program, args });
    },

    async open({ window, url, width, height, scale }) {
        const context = await browser.newContext({ viewport: { width, height }, deviceScaleFactor: scale });
        const page = await context.newPage();
        page.setDefaultTimeout(PATIENCE);
        page.on("console", (said) => said.type() === "error" && complain(`${window}: ${said.text().slice(0, 500)}`));
        page.on("pageerror", (error) => complain(`${window}: ${String(error.stack).slice(0, 2000)}`));
        windows.set(window, page);
        await page.goto(url);
    },

    async go({ window, hash }) {
        await windows.get(window).evaluate((hash) => void (location.hash = hash), hash);
    },

    async fill({ window, selector, text }) {
        await windows.get(window).fill(selector, text);
    },

    async click({ window, selector }) {
        await windows.get(window).click(selector);
    },

    async until({ window, selector, text }) {
        const found = windows.get(window).locator(selector, text ? { hasText: text } : {});
        await found.last().waitFor({ state: "visible" });
    },

    async style({ window, css }) {
        await windows.get(window).addStyleTag({ content: css });
    },

    /** Scroll everything down that can be scrolled. */
    async down({ window }) {
        await windows.get(window).evaluate(() => {
            for (const each of document.querySelectorAll("*")) each.scrollTop = each.scrollHeight;
        });
    },

    /** Scroll so that the last such element stands at the window's lower end, or the upper one. */
    async scroll({ window, selector, text, to }) {
        const found = windows.get(window).locator(selector, text ? { hasText: text } : {}).last();
        await found.evaluate((element, block) => element.scrollIntoView({ block }), to);
    },

    async shoot({ window, file }) {
        const page = windows.get(window);
        await page.mouse.move(page.viewportSize().width / 2, 4); // what is pointed at looks different
        await page.evaluate(() => document.fonts.ready);
        await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
    },

    async stop() {
        await browser.close();
    },
};

async function answer({ id, do: what, with: words }) {
    try {
        if (!Object.hasOwn(DOES, what)) throw new Error(`there is no ${what}`);
        tell({ id, result: (await DOES[what](words)) ?? {} });
    } catch (error) {
        complain(error?.stack ?? error);
        tell({ id, error: String(error?.message ?? error) });
    }
    if (what === "stop") process.stdout.write("", () => process.exit(0));
}

const lines = createInterface({ input: process.stdin });
lines.on("line", (line) => void answer(JSON.parse(line)));
lines.on("close", async () => {
    await browser?.close();
    process.exit(0);
});
