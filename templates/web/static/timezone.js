// Guesses the reader's time zone, once, and only while the form still shows its default. Nothing is sent.
(function () {
  "use strict";
  var field = document.getElementById("timezone");
  if (!field || field.dataset.guess !== "yes") return;
  var zone;
  try {
    zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  } catch (error) {
    return;
  }
  if (!zone) return;
  var known = Array.prototype.some.call(field.options, function (option) { return option.value === zone; });
  if (!known) field.add(new Option(zone.replace(/_/g, " "), zone));
  field.value = zone;
  var hint = document.getElementById("timezone-hint");
  if (hint) hint.textContent = "Guessed by your browser; change it if you like.";
})();
