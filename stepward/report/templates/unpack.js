// Packed text to what it holds, and the files of the page's folder, which are scripts: a page that is opened from the
// disc may load nothing else. Each file calls one of the two functions below, once it has come.
const packedBlock = document.getElementById("stepward-problems");
const waiting = new Map();

async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function arrived(key, text) {
  const wait = waiting.get(key);
  waiting.delete(key);
  if (wait) unpack(text).then(wait.resolve, wait.reject);
}
window.stepwardIndex = (run, text) => arrived(`${run}/index`, text);
window.stepwardChunk = (run, number, text) => arrived(`${run}/${number}`, text);

function load(run, what) {
  return new Promise((resolve, reject) => {
    waiting.set(`${run}/${what}`, { resolve, reject });
    const name = what === "index" ? "index" : String(what).padStart(4, "0");
    const script = document.createElement("script");
    script.src = `${packedBlock.dataset.link}/run-${run}/${name}.js`;
    script.onerror = () => reject(new Error(`${packedBlock.dataset.link}/run-${run}/${name}.js is not there`));
    document.head.append(script);
  });
}
