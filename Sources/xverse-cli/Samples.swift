// Samples.swift -- repeated measurements of one quantity.

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

  func map(_ transform: (Double) -> Double) -> Samples { Samples(values: values.map(transform)) }

  /// Each value as a part of what the machine could do at that time: the mean of the probes before and after it.
  func asShare(of probes: Samples) -> Samples {
    let limits = zip(probes.values, probes.values.dropFirst()).map { ($0 + $1) / 2 }
    return Samples(values: zip(values, limits).map { $0 / $1 })
  }

  var json: JSON { .object([("median", .real(median)), ("min", .real(minimum)), ("max", .real(maximum))]) }
}
