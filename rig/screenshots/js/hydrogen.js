// One room in Hydrogen: index.html?homeserver=http://…&user=anna&password=…&room=!…
import {
    Client,
    FeatureSet,
    LoadStatus,
    Platform,
    RoomView,
    RoomViewModel,
    createNavigation,
    createRouter,
    viewClassForTile,
} from "hydrogen-view-sdk";

const asked = Object.fromEntries(new URLSearchParams(location.search));
const OVER = [LoadStatus.Ready, LoadStatus.Error, LoadStatus.LoginFailed];

async function show() {
    const container = document.querySelector("#app");
    const assetPaths = {
        downloadSandbox: "assets/download-sandbox.html",
        worker: "assets/main.js",
        olm: { wasm: "olm.wasm", legacyBundle: "olm_legacy.js", wasmBundle: "olm.js" },
    };
    const platform = new Platform({ container, assetPaths, config: {}, options: { development: false } });
    // The service worker, which would fetch pictures with the login: there is none, and the client insists on it.
    Object.defineProperty(platform, "updateService", { value: { updateAuthData() {} } });
    const navigation = createNavigation();
    platform.setNavigation(navigation);
    const urlRouter = createRouter({ navigation, history: platform.history });
    urlRouter.attach();
    const client = new Client(platform);
    const login = await client.queryLogin(asked.homeserver).result;
    client.startWithLogin(login.password(asked.user, asked.password));
    await client.loadStatus.waitFor((status) => OVER.includes(status)).promise;
    if (client.loginFailure || client.loadError) throw client.loadError ?? new Error(`login: ${client.loginFailure}`);
    const { session } = client;
    const room = session.rooms.get(asked.room);
    const features = await FeatureSet.load(platform.settingsStorage);
    const who = { room, session, ownUserId: session.userId };
    const model = new RoomViewModel({ ...who, platform, urlRouter, navigation, features });
    await model.load();
    container.appendChild(new RoomView(model, viewClassForTile).mount());
}

show().catch((error) => console.error(`the page does not start: ${error.stack ?? error}`));
