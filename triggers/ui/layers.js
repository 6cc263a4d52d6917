// The positions of the models of a batch in its picture, and the lines between them: numbers in pixels, no elements.

/** The sizes of the picture; batch.css has the same. `edge`: the free space at the top and the bottom. */
export const SIZE = { width: 184, height: 50, row: 14, column: 26, layer: 50, edge: 14 };

const ROWS = 12;
const SWEEPS = 6;
const MAX_CURVES = 6000;

/**
 * Places models that have dependencies in layers by their longest path of dependencies, each layer in columns.
 * `models`: [{name, dependsOn}]. Models are numbered in this order. Returns `layers` (columns of numbers), `loose`
 * (numbers of the models without any dependency), `lines` ([{from, to, path, x, y}], the end at x and y), `undrawn`
 * (how many dependencies have no line), `width` and `height`. If there are very many dependencies, only those between
 * neighbouring layers have lines: they explain the layer of each model.
 */
export function arrange(models) {
  const before = dependencies(models);
  const after = models.map(() => []);
  before.forEach((list, number) => list.forEach((other) => after[other].push(number)));
  const numbers = models.map((_, number) => number);
  const loose = numbers.filter((number) => !before[number].length && !after[number].length);
  const depth = depths(before, after);
  const layers = [];
  for (const number of numbers.filter((one) => before[one].length || after[one].length)) {
    (layers[depth[number]] ??= []).push(number);
  }
  order(layers, before, after);
  const places = positionsIn(layers);
  const all = before.flatMap((list, to) => list.map((from) => ({ from, to }))).filter(forward(depth));
  const curves = all.reduce((sum, { from, to }) => sum + depth[to] - depth[from], 0);
  const drawn = curves > MAX_CURVES ? all.filter(near(depth)).slice(0, MAX_CURVES) : all;
  return {
    layers: places.layers.map(({ columns }) => columns),
    loose,
    lines: drawn.map((line) => ({ ...line, ...lineOf(line, places, depth) })),
    undrawn: all.length - drawn.length,
    width: places.width,
    height: places.height,
  };
}

/** For each model the numbers of the models that it depends on, without duplicates and unknown names. */
function dependencies(models) {
  const known = new Map(models.map(({ name }, number) => [name, number]));
  return models.map(({ dependsOn }, number) => [
    ...new Set((dependsOn ?? []).map((name) => known.get(name)).filter((one) => one !== undefined && one !== number)),
  ]);
}

/** The length of the longest path of dependencies to each model; 0 in a cycle, which the app refuses. */
function depths(before, after) {
  const depth = before.map(() => 0);
  const remaining = before.map((list) => list.length);
  const ready = remaining.flatMap((count, number) => (count ? [] : [number]));
  for (const number of ready) {
    for (const next of after[number]) {
      depth[next] = Math.max(depth[next], depth[number] + 1);
      if (--remaining[next] === 0) {
        ready.push(next);
      }
    }
  }
  return depth.map((value, number) => (remaining[number] ? 0 : value));
}

/** Orders the models within each layer: near the models they are connected to, so that few lines cross. */
function order(layers, before, after) {
  const position = new Map();
  const keep = (layer) => layer.forEach((number, at) => position.set(number, (at + 0.5) / layer.length));
  layers.forEach(keep);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const forth = sweep % 2 === 0;
    for (const layer of forth ? layers.slice(1) : layers.slice(0, -1).reverse()) {
      const wanted = new Map(layer.map((number) => [number, mean((forth ? before : after)[number], position, number)]));
      layer.sort((one, other) => wanted.get(one) - wanted.get(other));
      keep(layer);
    }
  }
}

function mean(numbers, position, number) {
  return numbers.length
    ? numbers.reduce((sum, other) => sum + position.get(other), 0) / numbers.length
    : position.get(number);
}

/** The columns and coordinates of the layers, and for each model its layer, column and row. */
function positionsIn(layers) {
  const most = Math.max(ROWS, Math.ceil(1.4 * Math.sqrt(Math.max(0, ...layers.map((layer) => layer.length)))));
  const found = layers.map((layer) => {
    const columns = Array.from({ length: Math.ceil(layer.length / most) }, () => []);
    layer.forEach((number, at) => columns[at % columns.length].push(number));
    return { columns, rows: columns[0].length };
  });
  const height = tall(Math.max(0, ...found.map(({ rows }) => rows))) + 2 * SIZE.edge;
  const positionOf = new Map();
  let x = 0;
  for (const layer of found) {
    const wide = layer.columns.length * (SIZE.width + SIZE.column) - SIZE.column;
    Object.assign(layer, { left: x, right: x + wide, top: (height - tall(layer.rows)) / 2 });
    layer.columns.forEach((numbers, column) => {
      numbers.forEach((number, row) => positionOf.set(number, { layer, column, row }));
    });
    x += wide + SIZE.layer;
  }
  return { layers: found, positionOf, width: Math.max(0, x - SIZE.layer), height };
}

function tall(rows) {
  return rows * (SIZE.height + SIZE.row) - SIZE.row;
}

function forward(depth) {
  return ({ from, to }) => depth[from] < depth[to];
}

function near(depth) {
  return ({ from, to }) => depth[from] + 1 === depth[to];
}

/**
 * One line from the right side of a model to the left side of another. The line runs in the space between two rows,
 * past the other models in the layers of both models, and through the layers between these.
 */
function lineOf({ from, to }, places, depth) {
  const [source, target] = [places.positionOf.get(from), places.positionOf.get(to)];
  const begin = { x: sideOf(source) + SIZE.width, y: middleOf(source) };
  const end = { x: sideOf(target), y: middleOf(target) };
  const passes = [];
  const pass = (x1, x2, layer, y) => passes.push([x1, x2, between(layer, y)]);
  const nudge = (y, other) => y + Math.sign(other - y || 1) * (SIZE.height / 2);
  if (source.column < source.layer.columns.length - 1) {
    pass(begin.x + SIZE.column, source.layer.right, source.layer, nudge(begin.y, end.y));
  }
  for (const layer of places.layers.slice(depth[from] + 1, depth[to])) {
    const share = (layer.left - begin.x) / (end.x - begin.x);
    pass(layer.left, layer.right, layer, begin.y + share * (end.y - begin.y));
  }
  if (target.column > 0) {
    pass(target.layer.left, end.x - SIZE.column, target.layer, nudge(end.y, begin.y));
  }
  let path = `M${begin.x} ${begin.y}`;
  let at = begin;
  for (const [x1, x2, y] of passes) {
    path += `${curve(at, { x: x1, y })}H${x2}`;
    at = { x: x2, y };
  }
  return { path: path + curve(at, end), ...end };
}

function sideOf({ layer, column }) {
  return layer.left + column * (SIZE.width + SIZE.column);
}

function middleOf({ layer, row }) {
  return layer.top + row * (SIZE.height + SIZE.row) + SIZE.height / 2;
}

/** The middle of the space between two rows of a layer, or above or below all of them, that is nearest to y. */
function between(layer, y) {
  const step = SIZE.height + SIZE.row;
  const first = layer.top - SIZE.row / 2;
  return first + Math.min(layer.rows, Math.max(0, Math.round((y - first) / step))) * step;
}

function curve(from, to) {
  const middle = (from.x + to.x) / 2;
  return `C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}`;
}
