// TableLayout.swift -- measurements as the lines of a table.

/// The columns: a name, a unit, figures of nine characters each, and a share of a limit.
package struct TableLayout: Sendable {
  private static let figureWidth = 9

  private let nameWidth: Int
  private let unitWidth: Int

  package init(nameWidth: Int, unitWidth: Int) {
    self.nameWidth = nameWidth
    self.unitWidth = unitWidth
  }

  /// The line above: a title for each figure.
  package func heading(_ titles: [String]) -> String { line("", "", titles) }

  package func line(_ name: String, _ unit: String, _ figures: [Double]) -> String {
    line(name, unit, figures.map(Format.short))
  }

  /// Median, minimum and maximum; with shares, "0.92 of LIMIT" for their median, or "- of LIMIT" where it is no number.
  package func line(
    _ name: String, _ unit: String, _ samples: Samples, _ shares: Samples? = nil, of limit: String = ""
  ) -> String {
    let figures = line(name, unit, samples.summary.map(\.value))
    guard let share = shares?.median else { return figures }
    return "\(figures)   \(share.isFinite ? Format.fixed(share, 2) : "-") of \(limit)"
  }

  private func line(_ name: String, _ unit: String, _ figures: [String]) -> String {
    Format.padded(name, nameWidth) + Format.padded(unit, unitWidth)
      + figures.map { Format.rightAligned($0, Self.figureWidth) }.joined()
  }
}
