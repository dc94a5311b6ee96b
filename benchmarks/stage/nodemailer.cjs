// Sends the messages of a folder by nodemailer's pool; prints seconds of wall and processor a message.
// node nodemailer.cjs PORT CONNECTIONS raw|compose FILE TIMES
const fs = require("node:fs");
const nodemailer = require(process.env.NODEMAILER || "nodemailer");
const [port, connections, mode, file, times] = process.argv.slice(2);
const messages = JSON.parse(fs.readFileSync(file, "utf8"));

function mail(one) {
  const envelope = { from: one.sender, to: [one.recipient] };
  if (mode === "raw") return { envelope, raw: one.raw };
  return { envelope, from: "digest@news.example.org", to: one.recipient, subject: one.subject,
           text: one.text, html: one.html, list: { unsubscribe: one.unsubscribe } };
}

async function send(transport, count) {
  const waiting = [];
  for (let n = 0; n < count; n++) waiting.push(transport.sendMail(mail(messages[n % messages.length])));
  await Promise.all(waiting);
}

(async () => {
  for (const one of messages) if (one.raw) one.raw = Buffer.from(one.raw, "base64");
  const transport = nodemailer.createTransport({ host: "127.0.0.1", port: Number(port), secure: false,
    ignoreTLS: true, pool: true, maxConnections: Number(connections), maxMessages: Infinity });
  await send(transport, Math.min(Number(times), 300));  // warm
  const began = process.hrtime.bigint(), used = process.cpuUsage();
  await send(transport, Number(times));
  const wall = Number(process.hrtime.bigint() - began) / 1e9, { user, system } = process.cpuUsage(used);
  console.log(JSON.stringify({ wall: wall / times, processor: (user + system) / 1e6 / times }));
  transport.close();
})();
