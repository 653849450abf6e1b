"""TFX-style pipeline components, one file per stage; bodies call the library only. Import as `tfadt.components`."""
