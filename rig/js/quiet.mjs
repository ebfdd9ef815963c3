// The SDK logs to the console, and standard output is for answers. Imported before everything else.
import { Console } from "node:console";

globalThis.console = new Console(process.stderr, process.stderr);
for (const level of ["debug", "info", "log", "trace"]) globalThis.console[level] = () => {};
