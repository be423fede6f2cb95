// Pictures to try the gallery with, where no photos are at hand: hills under a sky, each of its own.

/// @returns a promise of `count` files
export const samples = (count) => Promise.all(Array.from({ length: count }, (_, n) => picture(n)));

async function picture(n) {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1200, height: 900 });
  const pen = canvas.getContext('2d');
  const hue = (n * 47 + 190) % 360;
  const sky = pen.createLinearGradient(0, 0, 0, 900);
  sky.addColorStop(0, `hsl(${hue} 65% 45%)`);
  sky.addColorStop(1, `hsl(${hue + 50} 80% 82%)`);
  pen.fillStyle = sky;
  pen.fillRect(0, 0, 1200, 900);
  pen.fillStyle = `hsl(${hue + 60} 95% 92%)`;
  pen.beginPath();
  pen.arc(250 + (n * 331) % 700, 220 + (n * 97) % 160, 75, 0, 7);
  pen.fill();
  for (let hill = 0; hill < 4; hill++) {
    pen.fillStyle = `hsl(${hue + 20 - 12 * hill} ${30 + 6 * hill}% ${52 - 11 * hill}%)`;
    pen.beginPath();
    pen.moveTo(0, 900);
    for (let x = 0; x <= 1200; x += 20) {
      pen.lineTo(x, 470 + 105 * hill + (85 - 12 * hill) * Math.sin(x / (130 + 30 * hill) + n * 1.7 + hill * 2.3) + 22 * Math.sin(x / 47 + n + hill));
    }
    pen.lineTo(1200, 900);
    pen.fill();
  }
  const blob = await new Promise((done) => canvas.toBlob(done, 'image/jpeg', 0.9));
  return new File([blob], `sample-${n + 1}.jpg`, { type: 'image/jpeg' });
}
