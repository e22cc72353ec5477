// The model, as report/play.py stored it in this page: base64 of gzip of all tensors, one after the other.
const NUMBERS = { int8: Int8Array, uint8: Uint8Array, int32: Int32Array, float16: Uint16Array, float32: Float32Array };

const unpack = async text => {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
};

// The tensors by name, each as { shape, values }. Weights become float32, whatever they were stored as.
const readTensors = (buffer, stored) => {
  const tensors = {};
  let offset = 0;
  const take = (type, count) => {
    const end = offset + count * NUMBERS[type].BYTES_PER_ELEMENT;
    const values = new NUMBERS[type](buffer.slice(offset, end));
    offset = end;
    return values;
  };
  for (const { name, type, shape, scaled } of stored) {
    const values = take(type, shape.reduce((product, size) => product * size, 1));
    const width = shape[shape.length - 1];
    if (scaled) tensors[name] = { shape, values: scale(values, take("float32", values.length / width), width) };
    else tensors[name] = { shape, values: type === "float16" ? Float32Array.from(values, fromHalf) : values };
  }
  return tensors;
};

// Multiply each row of a matrix by its scale.
const scale = (values, scales, width) => {
  const result = new Float32Array(values.length);
  for (let row = 0; row < scales.length; row++) {
    for (let i = row * width; i < (row + 1) * width; i++) result[i] = values[i] * scales[row];
  }
  return result;
};

// The number that 16 bits stand for in IEEE 754. A weight is never infinite or NaN.
const fromHalf = bits => {
  const exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits >> 15 ? -size : size;
};
