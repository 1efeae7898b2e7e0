# Warnings for our own code, and sanitizers when asked for.
set(HONE_WARNINGS -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wvla
    -Wwrite-strings -Wundef -Wno-missing-field-initializers)
set(HONE_STRICT -Werror)
if(HONE_SANITIZE) # whose checks make compilers see paths that are none
  set(HONE_STRICT "")
endif()
list(APPEND HONE_WARNINGS ${HONE_STRICT})
if(HONE_FUZZ) # every file tells libFuzzer where it went
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(HONE_SANITIZE)
  add_compile_options(-fsanitize=${HONE_SANITIZE} -fno-omit-frame-pointer -g1 -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${HONE_SANITIZE})
endif()

# Our sources: strict warnings, no contraction of a*b+c (the same bits on every machine), C11 with POSIX.
function(hone_own target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:C>:${HONE_WARNINGS} -ffp-contract=off>)
  target_compile_definitions(${target} PRIVATE _POSIX_C_SOURCE=200809L)
endfunction()
