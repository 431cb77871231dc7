// KernelsTests.swift -- the choice of kernels and threads.

import Testing
import XverseCore
import XverseTensors

@Suite("Kernels")
struct KernelsTests {
  @Test("runs the instruction sets of this CPU and names those that it lacks")
  func choosesInstructionSet() throws {
    for set in Kernels.InstructionSet.allCases {
      guard set.isAvailable else {
        let error = #expect(throws: XverseError.self) { try Kernels(instructionSet: set, threadCount: 1) }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("'\(set.name)'") == true)
        #expect(error?.message.contains("reference") == true)
        continue
      }
      #expect(set.isBuilt)
      #expect(try Kernels(instructionSet: set, threadCount: 1).instructionSet == set)
    }
  }

  @Test("every CPU has the reference kernels, and nil chooses the fastest")
  func choosesFastest() throws {
    #expect(Kernels.InstructionSet.reference.isAvailable)
    #expect(Kernels.InstructionSet.fastest.isAvailable)
    #expect(try Kernels(threadCount: 1).instructionSet == .fastest)
    #expect(Kernels.InstructionSet.allCases.map(\.name) == ["reference", "avx2", "avxvnni", "avx512", "neon"])
    #expect(Kernels.InstructionSet(rawValue: 99) == nil)
  }

  @Test("refuses a number of threads out of bounds", arguments: [0, -1, 1025, .max, .min])
  func refusesThreads(threadCount: Int) {
    let error = #expect(throws: XverseError.self) { try Kernels(threadCount: threadCount) }

    #expect(error?.code == .range)
    #expect(error?.message == "threads is \(threadCount), expected 1 to 1024")
  }

  @Test("takes a number of threads within bounds", arguments: [1, 2, 1024])
  func takesThreads(threadCount: Int) throws {
    #expect(try Kernels(threadCount: threadCount).threadCount == threadCount)
  }

  @Test("serial kernels are the same on one thread")
  func makesSerial() throws {
    for set in availableSets {
      let kernels = try Kernels(instructionSet: set, threadCount: 3)

      #expect(kernels.serial.threadCount == 1)
      #expect(kernels.serial.instructionSet == set)
    }
  }
}
