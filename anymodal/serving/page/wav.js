/** Sound as WAV, which every program reads and whose length stands in its header. */

/** A recording as mono WAV of 16 bits at the rate of this machine. */
export async function wavOf(blob) {
  const context = new AudioContext();
  const buffer = await context.decodeAudioData(await blob.arrayBuffer());
  await context.close();
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, place) =>
    buffer.getChannelData(place),
  );
  const bytes = new DataView(new ArrayBuffer(44 + buffer.length * 2));
  const text = (at, letters) =>
    [...letters].forEach((letter, i) => bytes.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  bytes.setUint32(4, 36 + buffer.length * 2, true);
  text(8, "WAVEfmt ");
  bytes.setUint32(16, 16, true);
  bytes.setUint16(20, 1, true); // integers
  bytes.setUint16(22, 1, true); // one channel
  bytes.setUint32(24, buffer.sampleRate, true);
  bytes.setUint32(28, buffer.sampleRate * 2, true);
  bytes.setUint16(32, 2, true);
  bytes.setUint16(34, 16, true);
  text(36, "data");
  bytes.setUint32(40, buffer.length * 2, true);
  for (let i = 0; i < buffer.length; i++) {
    const mean = channels.reduce((sum, channel) => sum + channel[i], 0) / channels.length;
    bytes.setInt16(44 + i * 2, Math.max(-1, Math.min(1, mean)) * 0x7fff, true);
  }
  return new Blob([bytes.buffer], { type: "audio/wav" });
}
