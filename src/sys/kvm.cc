#include "sys/kvm.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <cstring>

#include "sys/fd.h"
#include "sys/process.h"

namespace curlingiron {
namespace {

#if defined(__x86_64__)
bool run_one_instruction() {
  constexpr size_t kPage = 4096;
  constexpr uint8_t kHlt = 0xf4;
  Result<UniqueFd> kvm = open_path("/dev/kvm", O_RDWR);
  if (!kvm.ok()) return false;
  UniqueFd machine(::ioctl(kvm.value().get(), KVM_CREATE_VM, 0));
  if (!machine.valid()) return false;
  void* memory = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  std::memset(memory, kHlt, kPage);
  kvm_userspace_memory_region region{};
  region.guest_phys_addr = kPage;
  region.memory_size = kPage;
  region.userspace_addr = reinterpret_cast<uintptr_t>(memory);
  if (::ioctl(machine.get(), KVM_SET_USER_MEMORY_REGION, &region) != 0) return false;
  UniqueFd cpu(::ioctl(machine.get(), KVM_CREATE_VCPU, 0));
  int size = ::ioctl(kvm.value().get(), KVM_GET_VCPU_MMAP_SIZE, 0);
  if (!cpu.valid() || size <= 0) return false;
  void* shared =
      ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, cpu.get(), 0);
  if (shared == MAP_FAILED) return false;
  kvm_sregs segments{};
  if (::ioctl(cpu.get(), KVM_GET_SREGS, &segments) != 0) return false;
  segments.cs.base = 0;
  segments.cs.selector = 0;
  if (::ioctl(cpu.get(), KVM_SET_SREGS, &segments) != 0) return false;
  kvm_regs registers{};
  registers.rip = kPage;
  registers.rflags = 2;  // bit 1 is always set
  if (::ioctl(cpu.get(), KVM_SET_REGS, &registers) != 0) return false;
  if (::ioctl(cpu.get(), KVM_RUN, 0) != 0) return false;
  return static_cast<const kvm_run*>(shared)->exit_reason == KVM_EXIT_HLT;
}
#else
bool run_one_instruction() { return false; }
#endif

}  // namespace

bool kvm_works() { return run_in_child(run_one_instruction, 2s).value_or(false); }

}  // namespace curlingiron
