// depmod's text files and the module index. The first byte chooses the parser.
#include <cstdlib>

#include "formats/module_index.h"
#include "formats/modules_text.h"
#include "support/linear_lookup.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace curlingiron;
  if (size == 0) return 0;
  ConstBytes bytes(data + 1, size - 1);
  std::string_view text = as_text(bytes);
  switch (data[0] % 7) {
    case 0: static_cast<void>(parse_modules_dep(text).ok()); break;
    case 1: static_cast<void>(parse_modules_alias(text).ok()); break;
    case 2: static_cast<void>(parse_modules_softdep(text).ok()); break;
    case 3: static_cast<void>(parse_modules_weakdep(text).ok()); break;
    case 4: static_cast<void>(parse_modules_builtin(text).ok()); break;
    case 5: static_cast<void>(parse_builtin_aliases(bytes).ok()); break;
    default: {
      Result<ModuleIndex> index = parse_module_index(text);
      if (!index.ok()) break;
      std::string formatted = format_module_index(index.value());
      Result<ModuleIndex> again = parse_module_index(formatted);
      if (!again.ok() || format_module_index(again.value()) != formatted) std::abort();
      for (const IndexedAlias& alias : index.value().aliases) {
        if (ModuleLookup(index.value()).modules_for(alias.pattern) !=
            test::modules_for(index.value(), alias.pattern)) {
          std::abort();
        }
      }
    }
  }
  return 0;
}
