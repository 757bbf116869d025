// The top of the page stands in its HTML; here its buttons come to life.

function wakeOverview(list) {
  document.addEventListener("click", event => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.copy !== undefined) copy(button.dataset.copy, button);
    else if (button.dataset.show !== undefined) showList(list, { cause: button.dataset.show });
    else if (button.dataset.stage !== undefined) showList(list, { stage: button.dataset.stage });
  });
  byId("zone").addEventListener("click", () => {
    localZone = !localZone;
    showZone();
    document.dispatchEvent(new Event("zone"));
    say(byId("zone").textContent);
  });
}

function showList(list, filters) {
  list.show({ text: "", cause: "", stage: "", state: "", ...filters });
  byId("devices").scrollIntoView();
  list.focus();
}
