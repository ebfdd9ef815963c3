// The browser's IndexedDB, kept in a file: Element keeps its keys there, and node has none of its own.
//
// It is written when the client stops and read when it starts, over the API that every browser has, so it knows nothing
// of what is in it. A client that is killed forgets what it learned in that life, as a browser without its disk would.
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { deserialize, serialize } from "node:v8";

const done = (request) =>
    new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });

/** Write every database into `file`. */
export async function save(file) {
    const databases = [];
    for (const { name, version } of await indexedDB.databases()) {
        databases.push({ name, version, stores: await contents(name) });
    }
    writeFileSync(`${file}.new`, serialize(databases), { mode: 0o600 });
    renameSync(`${file}.new`, file);
}

/** Make the databases as they were when `file` was written; none when it never was. */
export async function load(file) {
    if (!existsSync(file)) return;
    for (const { name, version, stores } of deserialize(readFileSync(file))) {
        const opening = indexedDB.open(name, version);
        opening.onupgradeneeded = () => stores.forEach((store) => fill(opening.result, store));
        (await done(opening)).close();
    }
}

async function contents(name) {
    const database = await done(indexedDB.open(name));
    const stores = [];
    for (const store of database.objectStoreNames) {
        const transaction = database.transaction(store, "readonly");
        const objects = transaction.objectStore(store);
        const { keyPath, autoIncrement } = objects;
        const indexes = [...objects.indexNames].map((index) => {
            const { name, keyPath, unique, multiEntry } = objects.index(index);
            return { name, keyPath, unique, multiEntry };
        });
        const [keys, values] = await Promise.all([done(objects.getAllKeys()), done(objects.getAll())]);
        stores.push({ name: store, keyPath, autoIncrement, indexes, rows: keys.map((key, at) => [key, values[at]]) });
    }
    database.close();
    return stores;
}

function fill(database, { name, keyPath, autoIncrement, indexes, rows }) {
    const objects = database.createObjectStore(name, { keyPath, autoIncrement });
    for (const { name, keyPath, unique, multiEntry } of indexes) {
        objects.createIndex(name, keyPath, { unique, multiEntry });
    }
    for (const [key, value] of rows) {
        keyPath === null ? objects.put(value, key) : objects.put(value);
    }
}
