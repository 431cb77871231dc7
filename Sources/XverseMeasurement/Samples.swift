// Samples.swift -- repeated measurements of one quantity.

/// Values in the order in which they were measured.
package struct Samples {
  package private(set) var values: [Double] = []

  package init() {}

  private init(values: [Double]) { self.values = values }

  package mutating func append(_ value: Double) { values.append(value) }

  /// The middle value, or the mean of the two middle ones; NaN without values.
  package var median: Double {
    let sorted = values.sorted()
    if sorted.isEmpty { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }

  package var minimum: Double { values.min() ?? .nan }
  package var maximum: Double { values.max() ?? .nan }

  /// What reports tell of the values, with the keys that they have in JSON.
  package var summary: [(key: String, value: Double)] { [("median", median), ("min", minimum), ("max", maximum)] }

  package func map(_ transform: (Double) -> Double) -> Samples { Samples(values: values.map(transform)) }

  /// Each value as a part of what the machine could do at that time: the mean of the probes before and after it.
  package func asShare(of probes: Samples) -> Samples {
    let limits = zip(probes.values, probes.values.dropFirst()).map { ($0 + $1) / 2 }
    return Samples(values: zip(values, limits).map { $0 / $1 })
  }
}

/// Seconds that `body` takes.
package func seconds<Failure: Error>(_ body: () throws(Failure) -> Void) throws(Failure) -> Double {
  let start = Machine.now
  try body()
  return Machine.now - start
}
