// MeasurementTests.swift -- what the benchmarks share.

import Testing
import XverseMeasurement

@Suite("Samples")
struct SamplesTests {
  @Test("the median is the middle value, or the mean of the two middle ones")
  func median() {
    #expect(samples([3]).median == 3)
    #expect(samples([9, 1, 4]).median == 4)
    #expect(samples([9, 1, 4, 2]).median == 3)
    #expect(samples([]).median.isNaN)
  }

  @Test("the summary is median, minimum and maximum")
  func summary() {
    let summary = samples([9, 1, 4]).summary

    #expect(summary.map(\.key) == ["median", "min", "max"])
    #expect(summary.map(\.value) == [4, 1, 9])
  }

  @Test("a share is taken of the mean of the probes around a value")
  func share() {
    let share = samples([6, 10]).asShare(of: samples([10, 14, 26]))

    #expect(share.values == [0.5, 0.5])
  }

  @Test("seconds measures what it runs, and throws what that throws")
  func measuresSeconds() throws {
    var runs = 0

    let time = seconds { runs += 1 }

    #expect(runs == 1)
    #expect(time >= 0 && time < 60)
    #expect(throws: Refusal.self) { try seconds { () throws(Refusal) in throw Refusal() } }
  }
}

@Suite("TableLayout")
struct TableLayoutTests {
  private let layout = TableLayout(nameWidth: 8, unitWidth: 6)

  @Test("headings stand above the ends of the figures")
  func heading() {
    #expect(layout.heading(["median", "min", "max"]) == "                 median      min      max")
    #expect(layout.line("name", "GB/s", samples([1, 22, 3333])) == "name    GB/s       22.0     1.00     3333")
    #expect(layout.line("name", "GB/s", [0.5, .nan]) == "name    GB/s      0.500        -")
  }

  @Test("a share follows its figures, and is '-' when it is no number")
  func share() {
    let figures = "name    s          2.00     2.00     2.00"

    #expect(layout.line("name", "s", samples([2]), samples([0.921]), of: "memory") == figures + "   0.92 of memory")
    #expect(layout.line("name", "s", samples([2]), samples([.infinity]), of: "s8") == figures + "   - of s8")
  }

  @Test("a name that is too long is not cut")
  func longName() {
    #expect(layout.line("a long name", "s", [2]) == "a long names          2.00")
  }
}

@Suite("Machine")
struct MachineTests {
  @Test("reports what Linux says")
  func reports() {
    #expect(!Machine.processor.isEmpty && !Machine.processor.contains("\n"))
    #expect(Machine.processorCount >= 1)
    #expect(Machine.freeMemory > 0 && Machine.freeMemory % 1024 == 0)
    #expect(Machine.anonymousMemory > 0)
    #expect(Machine.peakResidentMemory >= Machine.anonymousMemory / 2)
  }

  @Test("time does not run backwards")
  func monotonic() {
    let start = Machine.now

    #expect(Machine.now >= start)
  }
}

private struct Refusal: Error {}

private func samples(_ values: [Double]) -> Samples {
  var samples = Samples()
  for value in values { samples.append(value) }
  return samples
}
