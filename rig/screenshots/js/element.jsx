// The application around Element's user interface: index.html?homeserver=http://…#/login
import "./browser-globals.js";

import BasePlatform from "matrix-react-sdk/lib/BasePlatform";
import PlatformPeg from "matrix-react-sdk/lib/PlatformPeg";
import SdkConfig from "matrix-react-sdk/lib/SdkConfig";
import * as languages from "matrix-react-sdk/lib/languageHandler";
import React from "react";
import ReactDOM from "react-dom";

/** Of a module that was compiled from one with a default export. */
const main = (module) => module.default ?? module;

class Page extends main(BasePlatform) {
    async getConfig() {
        return {};
    }

    getDefaultDeviceDisplayName() {
        return "Element";
    }

    getHumanReadableName() {
        return "Web Platform";
    }

    async getAppVersion() {
        return "0";
    }

    async requestNotificationPermission() {
        return "denied";
    }

    supportsNotifications() {
        return false;
    }

    startUpdateCheck() {}

    setErrorStatus() {}

    reload() {
        location.reload();
    }
}

async function show() {
    const homeserver = new URLSearchParams(location.search).get("homeserver");
    const server = { hsUrl: homeserver, hsName: "example.org", hsNameIsDifferent: false, isUrl: "", isDefault: true };
    const config = {
        brand: "Element",
        validated_server_config: { ...server, isNameResolvable: false, warning: "" },
        default_server_config: { "m.homeserver": { base_url: homeserver, server_name: "example.org" } },
        features: {},
        integrations_ui_url: null,
    };
    main(PlatformPeg).set(new Page());
    main(SdkConfig).put(config);
    await languages.setLanguage("en");
    // It looks at its settings when it is imported.
    const MatrixChat = main(main(await import("matrix-react-sdk/lib/components/structures/MatrixChat")));
    const chat = React.createRef();
    window.addEventListener("hashchange", () => chat.current?.showScreen(location.hash.slice(2)));
    ReactDOM.render(
        <MatrixChat
            ref={chat}
            config={config}
            onNewScreen={(screen) => history.replaceState(null, "", `#/${screen}`)}
            realQueryParams={{}}
            startingFragmentQueryParams={{}}
            initialScreenAfterLogin={{ screen: location.hash.slice(2), params: {} }}
            enableGuest={false}
            onTokenLoginCompleted={() => {}}
            defaultDeviceDisplayName="Element"
        />,
        document.getElementById("matrixchat"),
    );
}

show().catch((error) => console.error(`the page does not start: ${error.stack}`));
