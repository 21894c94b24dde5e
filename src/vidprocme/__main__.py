from vidprocme.cli.main import main

main()
