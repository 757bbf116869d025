// The time axis: even, or with long gaps shortened, as in amtdiag/report/charts/timescale.py.

const SECOND = 1e9, MINUTE = 60 * SECOND, HOUR = 3600 * SECOND, DAY = 86400 * SECOND;
const TICK_STEPS = [
  ...[3, 4, 5, 6, 7, 8].flatMap(power => [1, 2, 5].map(digit => digit * 10 ** power)),
  ...[1, 2, 5, 10, 20, 30].map(n => n * SECOND), ...[1, 2, 5, 10, 20, 30].map(n => n * MINUTE),
  ...[1, 2, 3, 6, 12].map(n => n * HOUR), ...[1, 2, 7, 14, 30, 90, 365, 3650, 36500].map(n => n * DAY),
];

class TimeScale {
  // Times in nanoseconds. Even where events are spread over the time; where they come in bursts, a gap is as
  // wide as the logarithm of its length, and a little more, so that no two marks hide each other.
  constructor(times) {
    const points = Float64Array.from(new Set(times)).sort();
    this.start = points[0] ?? 0;
    this.end = points.at(-1) ?? 0;
    const total = this.end - this.start;
    const bins = new Set(total ? Array.from(points, time => Math.floor((time - this.start) * 100 / total)) : []);
    this.shortened = total > 0 && bins.size < 0.7 * Math.min(points.length, 60);
    this.points = this.shortened ? points : Float64Array.of(this.start, this.end);
    this.places = [0];
    for (let i = 1; i < this.points.length; i++) {
      const gap = this.points[i] - this.points[i - 1];
      this.places.push(this.places[i - 1] + (this.shortened ? 0.4 + Math.log10(1 + gap / 1e6) : 1));
    }
    this.whole = this.places.at(-1) || 1;
  }

  // 0 to 1.
  place(time) {
    if (this.start === this.end) return 0.5;
    let low = 0, high = this.points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (this.points[middle] <= time) low = middle; else high = middle;
    }
    const share = Math.min(Math.max((time - this.points[low]) / (this.points[high] - this.points[low]), 0), 1);
    return (this.places[low] + share * (this.places[high] - this.places[low])) / this.whole;
  }

  // Times worth a label, no two closer than `closest` (0 to 1).
  ticks(closest, preferred) {
    const total = this.end - this.start;
    if (!this.shortened) {
      const most = Math.max(2, Math.floor(0.9 / closest));
      const step = TICK_STEPS.find(length => total <= length * most) ?? total;
      return Array.from({ length: total ? Math.floor(total / step) + 1 : 1 }, (_, i) => this.start + i * step);
    }
    const gaps = Array.from(this.points).slice(1).map((later, i) => [later - this.points[i], later]).sort((a, b) => b[0] - a[0]);
    const taken = [];
    for (const time of [this.start, this.end, ...preferred, ...gaps.slice(0, 32).map(gap => gap[1])]) {
      const place = this.place(time);
      if (taken.every(([, other]) => Math.abs(other - place) >= closest)) taken.push([time, place]);
    }
    return taken.map(([time]) => time).sort((a, b) => a - b);
  }
}
