// Samples.swift -- repeated measurements of one quantity.

import XverseCore

struct Samples {
  private(set) var values: [Double] = []

  mutating func append(_ value: Double) { values.append(value) }

  var median: Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  var minimum: Double { values.min() ?? .nan }
  var maximum: Double { values.max() ?? .nan }

  func write(to writer: inout JSONWriter, _ key: String) {
    writer.beginObject(key)
    writer.write(median, "median")
    writer.write(minimum, "min")
    writer.write(maximum, "max")
    writer.endObject()
  }
}

/// Seconds that `body` takes.
func seconds(_ body: () throws(XverseError) -> Void) throws(XverseError) -> Double {
  let start = MonotonicClock.now
  try body()
  return 1e-9 * Double(MonotonicClock.now - start)
}
