// What packages for node expect of their surroundings. Imported before everything else.
import { Buffer } from "buffer";
import process from "process";

Object.assign(window, { Buffer, process });
window.AudioWorkletProcessor ??= class {};
window.registerProcessor ??= () => {};
