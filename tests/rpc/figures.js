// In place of the server's figures: eleven days of a million refusals a second, and of five thousand
// completed works. It runs in the page before the page's own script.
"use strict";
{
  let second = 1_000_000;
  const sample = (uptime_seconds) => ({
    uptime_seconds, actors: 8, busy: 8, queued: 100_000, completed: 5_000 * uptime_seconds,
    failed: 123 * uptime_seconds, refused: 1_234_567 * uptime_seconds,
  });
  const stats = (uptime_seconds) => {
    const { completed, failed, ...works } = sample(uptime_seconds);
    return {
      pool: "threadpool", uptime_seconds, shutting_down: false, resident_bytes: 123_456_789_012,
      connections: 2_048,
      calls: { accepted: completed, ok: completed, failed, panicked: 0, retried: 987_654_321 },
      troupe: { ...works, completed, failed, panicked: 0, capacity: 0 },
    };
  };
  const answers = {
    stats: () => stats(second += 1),
    trend: () => Array.from({ length: 300 }, (_, i) => sample(second - 300 + i)),
  };
  window.fetch = async (path) => ({ json: async () => answers[path]() });
}
